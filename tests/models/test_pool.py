"""One copy per network, its dtype, and who leaves the device when it is full. Memory is made up; no GPU is needed."""

import gc
import weakref
from functools import partial
from types import SimpleNamespace

import pytest
import torch
from attrs import evolve
from safetensors.torch import load_file
from torch import nn

from pshead_core.models.memory import plan_offload
from pshead_core.models.names import CheckpointNames, resolve_checkpoint
from pshead_core.models.pool import ModelPool
from pshead_core.testing.scenes import tiny_context
from tests.models.conftest import component, refusal, stable_diffusion

CPU = torch.device("cpu")


class Net(nn.Module):
    """A network of one tensor; remembers where it was moved."""

    def __init__(self, weight):
        super().__init__()
        self.weight = nn.Parameter(weight)
        self.register_buffer("ids", torch.arange(3))
        self.config = SimpleNamespace(width=4)
        self.moves = []

    def to(self, *_, **__):
        pytest.fail("a library's own `to` is not called")

    def _apply(self, fn, recurse=True):
        self.moves.append(fn(torch.zeros(1)).dtype)
        return super()._apply(fn, recurse)


class Other(Net):
    """Another class that loads from the same folder."""


def load_net(folder, kind=Net):
    return kind(load_file(folder / "diffusion_pytorch_model.safetensors")["weight"])


@pytest.fixture
def pool():
    return ModelPool(device=CPU, dtype=torch.float32, names=CheckpointNames({}, ()))


@pytest.fixture
def folder(tmp_path):
    return str(stable_diffusion(tmp_path / "sd", 3.0))


def test_fp16_weights_become_the_runs_dtype_without_gradients(pool, folder):
    model = pool.load(pool.checkpoint(folder), "unet", load_net)
    net = model.get()
    assert net.weight.dtype == torch.float32
    assert net.weight.eq(3).all()
    assert net.ids.dtype == torch.int64
    assert not net.training
    assert not net.weight.requires_grad
    assert model.config.width == 4
    assert model.size_bytes == 6 * 4 + 3 * 8
    half = pool.load(pool.checkpoint(folder), "unet", load_net, dtype=torch.bfloat16)
    assert half.get().weight.dtype == torch.bfloat16
    assert net.weight.dtype == torch.float32


def test_two_plugins_share_one_copy_per_folder_class_and_dtype(pool, folder, tmp_path):
    first = pool.load(pool.checkpoint(folder), "unet", load_net)
    other_name = pool.load(evolve(resolve_checkpoint(folder), name="other"), "unet", partial(load_net, kind=Net))
    assert other_name is first
    assert other_name.get() is first.get()
    assert pool.load(pool.checkpoint(folder), "unet", lambda path: load_net(path, Other)) is not first
    assert pool.load(pool.checkpoint(folder), "vae", load_net) is not first
    (tmp_path / "link").symlink_to(folder)
    assert pool.load(pool.checkpoint(str(tmp_path / "link")), "unet", load_net) is first
    fresh = ModelPool(device=CPU, dtype=torch.float32)
    assert fresh.load(fresh.checkpoint(folder), "unet", load_net).get() is not first.get()


def test_errors_of_a_loader_name_checkpoint_and_folder(pool, folder):
    def fails(path):
        raise OSError("no file named diffusion_pytorch_model.safetensors")

    message = refusal(pool.load, pool.checkpoint(folder), "unet", fails)
    assert f"{folder}/unet" in message
    assert "no file named" in message
    assert "no component 'controlnet'" in refusal(pool.load, pool.checkpoint(folder), "controlnet", load_net)
    assert "no checkpoint is called" in refusal(pool.checkpoint, "nothing")


def test_a_pool_is_freed_with_its_networks(folder):
    pool = ModelPool(device=CPU, dtype=torch.float32)
    watch = weakref.ref(pool.load(pool.checkpoint(folder), "unet", load_net).get())
    del pool
    gc.collect()
    assert watch() is None


class Memory:
    """A device of so many bytes, on which only the pool's networks lie."""

    def __init__(self, total_bytes):
        self.total_bytes = total_bytes
        self.pool = None
        self.sizes = {}
        self.released = 0

    def free_bytes(self):
        return self.total_bytes - sum(self.sizes[name] for name in self.pool.resident())

    def release(self):
        self.released += 1


SIZES = {"a": 40, "b": 30, "c": 20, "d": 90}


@pytest.fixture
def crowd(tmp_path):
    """Return a function that makes a pool on a device of 100 bytes and its networks a, b, c, d."""

    def make(offload, reserve_bytes=0, total_bytes=100):
        memory = Memory(total_bytes)
        pool = ModelPool(device=CPU, dtype=torch.float32, offload=offload, memory=memory, reserve_bytes=reserve_bytes)
        memory.pool = pool
        models = {}
        for name, size in SIZES.items():
            component(tmp_path / name / "unet", shape=(1,))
            models[name] = pool.load(pool.checkpoint(str(tmp_path / name)), "unet", load_net)
            models[name].size_bytes = size
            memory.sizes[models[name].name] = size
        return pool, models

    return make


def use(pool, models, *names):
    """Ask one prior that gets these networks; return which are on the device then, least recently used first."""
    pool.begin_use()
    for name in names:
        models[name].get()
    return [name.split("/")[-2] for name in pool.resident()]


def test_auto_sends_away_the_least_recently_used_until_the_new_one_fits(crowd):
    pool, models = crowd("auto")
    assert use(pool, models, "a", "b", "c") == ["a", "b", "c"]  # 90 of 100
    assert use(pool, models, "a") == ["b", "c", "a"]
    assert use(pool, models, "d") == ["d"]  # needs 90, so all must leave
    assert use(pool, models, "c") == ["c"]
    assert use(pool, models, "a", "b") == ["c", "a", "b"]
    moves = [len(models[name].get().moves) for name in "cab"]
    assert use(pool, models, "a", "c") == ["b", "a", "c"]
    assert [len(models[name].get().moves) for name in "cab"] == moves  # all were there: nothing moved


def test_auto_leaves_the_reserve_free(crowd):
    pool, models = crowd("auto", reserve_bytes=35)
    assert use(pool, models, "a", "c") == ["a", "c"]  # 60 and 35
    assert use(pool, models, "b") == ["c", "b"]
    pool, models = crowd("auto", reserve_bytes=1000)  # more than there is: then each is alone, but it runs
    assert use(pool, models, "a") == ["a"]
    assert use(pool, models, "b", "c") == ["b", "c"]  # what one prior uses stays together
    assert use(pool, models, "d") == ["d"]


def test_always_keeps_only_what_the_prior_that_is_asked_has_got(crowd):
    pool, models = crowd("always")
    assert use(pool, models, "a", "b") == ["a", "b"]
    assert use(pool, models, "a", "b") == ["a", "b"]  # the same prior again: nothing moves
    assert len(models["a"].get().moves) == 2  # cast, and moved once
    assert use(pool, models, "c") == ["c"]
    assert use(pool, models, "c", "a") == ["c", "a"]


def test_all_networks_can_be_sent_away(crowd):
    pool, models = crowd("never")
    use(pool, models, "a", "b")
    pool.offload_all()
    assert pool.resident() == ()
    assert use(pool, models, "a") == ["a"]
    assert len(models["a"].get().moves) == 4  # cast, there, away, there


def test_never_moves_nothing_away(crowd):
    pool, models = crowd("never", total_bytes=10)
    assert use(pool, models, "a", "b", "c", "d") == ["a", "b", "c", "d"]


def test_a_run_on_a_cpu_offloads_nothing(folder):
    pool = ModelPool(device=CPU, dtype=torch.float32, offload="always", reserve_bytes=2**60)
    models = [pool.load(pool.checkpoint(folder), part, load_net) for part in ("unet", "vae")]
    for model in models:
        pool.begin_use()
        model.get()
    assert len(pool.resident()) == 2


@pytest.mark.parametrize(
    ("offload", "missing_bytes", "old", "leaving"),
    [
        ("never", 99, "ab", ""),
        ("auto", 0, "ab", ""),
        ("auto", 1, "ab", "a"),
        ("auto", 40, "ab", "a"),
        ("auto", 41, "ab", "ab"),
        ("auto", 71, "bac", "bac"),
        ("auto", 70, "bac", "ba"),
        ("auto", 1000, "", ""),
        ("always", -50, "ab", "ab"),
        ("always", 1000, "", ""),
    ],
)
def test_plan(offload, missing_bytes, old, leaving):
    assert plan_offload(offload, missing_bytes, {name: SIZES[name] for name in old}) == list(leaving)


def test_out_of_memory_names_the_network_and_the_setting(crowd, monkeypatch):
    pool, models = crowd("never")
    models["a"].get()

    def full(device):
        if device == CPU and not full.failed:
            full.failed = True
            raise torch.cuda.OutOfMemoryError("CUDA out of memory")

    full.failed = False
    monkeypatch.setattr(models["d"], "move", full)
    message = refusal(models["d"].get)
    assert "d/unet" in message
    assert "a/unet" in message
    assert "models.offload = 'always'" in message
    assert len(pool.resident()) == 1


def test_contexts_of_the_conformance_checks_know_the_installed_checkpoints(tmp_path):
    context = tiny_context(tmp_path, dtype=torch.bfloat16)
    assert context.models.checkpoint("mini/sd").has("unet")
    assert context.models.dtype == torch.bfloat16
    assert context.models is not tiny_context(tmp_path).models


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_networks_really_leave_a_cuda_device(tmp_path):
    cuda = torch.device("cuda")
    pool = ModelPool(device=cuda, dtype=torch.bfloat16, offload="always")
    models = []
    for name in "ab":
        component(tmp_path / name / "unet", shape=(1024, 1024))
        models.append(pool.load(pool.checkpoint(str(tmp_path / name)), "unet", load_net))
    before = torch.cuda.memory_allocated()
    assert models[0].get().weight.device.type == "cuda"
    one = torch.cuda.memory_allocated() - before
    assert one >= 2 * 2**20
    pool.begin_use()
    assert models[1].get().weight.device.type == "cuda"
    assert torch.cuda.memory_allocated() - before == one
    assert models[0]._module.weight.device.type == "cpu"
