import stat
import subprocess
from pathlib import Path

from worker.memory_file import in_memory


def test_a_file_for_this_process_while_it_needs_it() -> None:
    with in_memory("a key") as name:
        path = Path(name)
        assert path.read_text() == path.read_text() == "a key"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert path.readlink().name.startswith("memfd:"), "on no disk"
        inherited = subprocess.run(["cat", name], capture_output=True, check=False)
        assert b"a key" not in inherited.stdout
    assert not path.exists()
