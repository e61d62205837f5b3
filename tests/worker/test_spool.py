"""Every crash window of the spool, each ending in what a later process can still read."""

import os
from pathlib import Path

import pytest

from worker import spool
from worker.spool import Boot, SpoolError, boots, frame, frames

BOOT = "22222222-2222-4222-8222-222222222222"


def payloads(first: int, count: int) -> list[bytes]:
    return [b'{"n":%d}' % number for number in range(first, first + count)]


def die(boot: Boot) -> None:
    """What the kernel does to a killed process: descriptors close, nothing else happens."""
    boot.close()


def test_appended_entries_are_read_back_in_order_and_in_batches(tmp_path: Path) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 3))
    boot.append(payloads(4, 2))
    assert boot.last == 5
    assert boot.read(0, 2, 1 << 20) == payloads(1, 2)
    assert boot.read(2, 10, 1 << 20) == payloads(3, 3)
    assert boot.read(5, 10, 1 << 20) == []
    assert boot.read(0, 10, 9) == payloads(1, 2), "the size bound ends a batch after the entry that crosses it"


def test_reading_anew_after_a_rewind(tmp_path: Path) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 5))
    boot.read(0, 4, 1 << 20)
    boot.acknowledge(4)
    assert boot.rewind(2)
    assert boot.read(boot.acknowledged, 2, 1 << 20) == payloads(2, 2)
    assert not boot.rewind(4), "never forward: that would skip"


def test_a_living_boot_is_not_adopted_and_a_dead_one_is(tmp_path: Path) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 2))
    assert Boot.adopt(tmp_path / BOOT) is None
    die(boot)
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert adopted.read(0, 10, 1 << 20) == payloads(1, 2)
    assert Boot.adopt(tmp_path / BOOT) is None, "one adopter at a time"


@pytest.mark.parametrize("cut", range(1, len(frame(b'{"n":3}'))))
def test_a_tail_torn_at_any_byte_is_cut_off(tmp_path: Path, cut: int) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 3))
    die(boot)
    file = next((tmp_path / BOOT).glob("*.seg"))
    os.truncate(file, file.stat().st_size - cut)
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert (adopted.last, adopted.damage) == (2, "")
    assert adopted.read(0, 10, 1 << 20) == payloads(1, 2)
    assert file.stat().st_size == 2 * len(frame(b'{"n":1}'))


def test_zeros_behind_the_last_entry_are_a_torn_tail(tmp_path: Path) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 1))
    die(boot)
    file = next((tmp_path / BOOT).glob("*.seg"))
    file.write_bytes(file.read_bytes() + bytes(4096))
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert (adopted.last, adopted.damage) == (1, "")


def test_a_changed_byte_is_damage_and_keeps_the_files(tmp_path: Path) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 3))
    die(boot)
    file = next((tmp_path / BOOT).glob("*.seg"))
    content = bytearray(file.read_bytes())
    content[-2] ^= 1
    file.write_bytes(content)
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert adopted.last == 2
    assert "damaged behind entry 2" in adopted.damage
    adopted.acknowledge(2)
    with pytest.raises(SpoolError):
        adopted.destroy()
    assert file.read_bytes() == content


def test_a_missing_segment_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 20)
    boot = Boot.create(tmp_path, BOOT)
    for number in range(1, 10):
        boot.append(payloads(number, 1))
    die(boot)
    files = sorted((tmp_path / BOOT).glob("*.seg"))
    assert len(files) > 3
    files[1].unlink()
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert "does not follow" in adopted.damage


def test_only_wholly_acknowledged_segments_are_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 40)
    boot = Boot.create(tmp_path, BOOT)
    for number in range(1, 10):
        boot.append(payloads(number, 1))
    before = len(boot.segments)
    second = boot.segments[1]
    boot.acknowledge(second.last - 1)
    assert boot.segments[0] is second
    assert len(list((tmp_path / BOOT).glob("*.seg"))) == before - 1
    assert boot.read(boot.acknowledged, 100, 1 << 20) == payloads(second.last, 1), "a batch ends with its segment"


def test_acknowledged_and_deleted_segments_stay_out_of_an_adopted_boot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spool, "SEGMENT_BYTES", 40)
    boot = Boot.create(tmp_path, BOOT)
    for number in range(1, 10):
        boot.append(payloads(number, 1))
    boot.acknowledge(boot.segments[1].last)
    first = boot.segments[0].first
    die(boot)
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert (adopted.acknowledged, adopted.waiting) == (first - 1, 10 - first)


def test_a_failed_write_leaves_no_trace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 1))
    real = os.write

    def full(descriptor: int, data: bytes) -> int:
        return real(descriptor, data[: len(data) // 2])

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(SpoolError, match="cannot be written"):
        boot.append(payloads(2, 2))
    assert boot.last == 1
    monkeypatch.setattr(os, "write", real)
    boot.append(payloads(2, 2))
    die(boot)
    adopted = Boot.adopt(tmp_path / BOOT)
    assert adopted is not None
    assert adopted.read(0, 10, 1 << 20) == payloads(1, 3)


def test_destroy_wants_every_acknowledgement(tmp_path: Path) -> None:
    boot = Boot.create(tmp_path, BOOT)
    boot.append(payloads(1, 2))
    boot.acknowledge(1)
    with pytest.raises(SpoolError):
        boot.destroy()
    boot.acknowledge(2)
    boot.destroy()
    assert boots(tmp_path) == []


def test_a_boot_being_made_is_not_seen(tmp_path: Path) -> None:
    (tmp_path / f".{BOOT}.x").mkdir()
    assert boots(tmp_path) == []


def test_frames_stop_at_anything_that_is_not_a_whole_frame() -> None:
    good = frame(b"a") + frame(b"b")
    assert list(frames(good)) == [b"a", b"b"]
    assert list(frames(good + bytes(8))) == [b"a", b"b"], "a frame of nothing is no frame"
    assert list(frames(good + b"\xff" * 50)) == [b"a", b"b"]
