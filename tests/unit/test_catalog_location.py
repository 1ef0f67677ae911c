"""Addresses of atlases, and stores for them."""

import os
from pathlib import Path

import obstore.store
import pytest

from homeobox import _core
from homeobox.catalog import AtlasLocation
from homeobox.catalog.array_store import adopt_store, find_store, open_store
from homeobox.errors import StoreError


@pytest.mark.parametrize(
    ("uri", "root"),
    [
        ("s3://bucket/x/", "s3://bucket/x"),
        ("s3://bucket/x/lance_db", "s3://bucket/x"),
        ("s3://bucket/x/lance_db/", "s3://bucket/x"),
        ("S3://bucket/x", "S3://bucket/x"),
        ("gs://bucket/x", "gs://bucket/x"),
        ("gcs://bucket/x", "gs://bucket/x"),
        ("az://container/x", "az://container/x"),
        ("abfs://container/x", "az://container/x"),
        ("abfss://container@account/x", "abfss://container@account/x"),
        ("https://example.org/x/lance_db", "https://example.org/x"),
    ],
)
def test_urls_are_remote(uri: str, root: str) -> None:
    location = AtlasLocation.parse(uri)
    assert location.is_remote
    assert location.root == root
    assert location.db_uri == f"{root}/lance_db"
    assert location.sibling_store_uri == f"{root}/zarr_store"
    assert location.table_uri("cells") == f"{root}/lance_db/cells.lance"


@pytest.mark.parametrize("uri", ["a/b", "a/b/", "a/b/lance_db", "./a/b/lance_db/", "a/b\\lance_db"])
def test_paths_become_absolute(uri: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    location = AtlasLocation.parse(uri)
    assert not location.is_remote
    assert location.root == os.path.join(tmp_path, "a", "b")
    assert location.sibling_store_uri == f"file://{tmp_path}/a/b/zarr_store"


def test_file_urls_home_and_path_objects(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert AtlasLocation.parse("~/x").root == f"{tmp_path}/x"
    assert AtlasLocation.parse(f"file://{tmp_path}/x/lance_db").root == f"{tmp_path}/x"
    assert AtlasLocation.parse(tmp_path / "x").root == f"{tmp_path}/x"
    assert AtlasLocation.parse("lance_db_of_mine").root.endswith("/lance_db_of_mine")
    with pytest.raises(ValueError, match="found an empty string"):
        AtlasLocation.parse("")


def test_storage_options_are_strings() -> None:
    def options(**kwargs: object) -> dict[str, str] | None:
        return AtlasLocation.parse("s3://b/x", kwargs).storage_options

    assert options() is None
    assert options(config={"skip_signature": True, "region": "us-east-2", "n": 3, "none": None}) == {
        "skip_signature": "true",
        "region": "us-east-2",
        "n": "3",
    }
    assert options(region="eu-west-1", allow_http=False) == {"region": "eu-west-1", "allow_http": "false"}


def test_local_stores_are_served_by_the_core(tmp_path: Path) -> None:
    directory = tmp_path / "with space %20 #1"
    directory.mkdir()
    for given in (obstore.store.LocalStore(str(directory)), directory, str(directory)):
        store, uri = adopt_store(given)
        assert isinstance(store, _core.FileStore)
        assert uri == f"file://{directory}"
        store.write("k", b"1")
        assert open_store(uri).read("k") == b"1"
    assert open_store(directory.as_uri()).read("k") == b"1"


def test_a_store_of_the_core_is_taken_as_it_is(tmp_path: Path) -> None:
    memory = _core.MemoryStore()
    assert adopt_store(memory) == (memory, "memory://")
    files = _core.FileStore(str(tmp_path))
    assert adopt_store(files) == (files, f"file://{tmp_path}")
    assert adopt_store(_core.CountingStore(files))[1] == f"file://{tmp_path}"


@pytest.mark.parametrize(
    ("store", "uri"),
    [
        (obstore.store.MemoryStore(), "memory://"),
        (obstore.store.S3Store("bucket", prefix="a/b/", region="x", skip_signature=True), "s3://bucket/a/b"),
        (obstore.store.S3Store("bucket", region="x", skip_signature=True), "s3://bucket"),
        (obstore.store.from_url("az://container/p", account_name="acc"), "az://container/p"),
        (obstore.store.from_url("https://example.org/p/"), "https://example.org/p"),
    ],
)
def test_other_stores_go_through_obstore(store: object, uri: str) -> None:
    adopted, address = adopt_store(store)
    assert isinstance(adopted, _core.ObstoreStore)
    assert address == uri


def test_what_is_no_store_is_refused() -> None:
    with pytest.raises(ValueError, match="store must be an obstore store or a path, found int"):
        adopt_store(3)
    with pytest.raises(ValueError, match="needs a prefix"):
        adopt_store(obstore.store.LocalStore())
    with pytest.raises(ValueError, match="arrays in memory end with their process"):
        open_store("memory://")


def test_arrays_beside_the_tables_come_before_a_recorded_place(tmp_path: Path) -> None:
    location = AtlasLocation.parse(tmp_path / "atlas")
    elsewhere = f"file://{tmp_path}/elsewhere"
    sibling = f"file://{tmp_path}/atlas/zarr_store"
    assert find_store(location, "")[1] == sibling
    assert find_store(location, elsewhere)[1] == elsewhere
    _core.write_group(open_store(sibling), "")
    assert find_store(location, elsewhere)[1] == sibling


def test_places_that_cannot_be_used_are_named(tmp_path: Path) -> None:
    location = AtlasLocation.parse(tmp_path / ("x" * 300))
    with pytest.raises(StoreError, match="x/lance_db cannot be listed: File name too long"):
        location.table_names()
    with pytest.raises(StoreError, match="x/lance_db: cannot make the directory: File name too long"):
        location.make_directories()
    assert location.file_in_the_way() is None
    unreachable = {
        "config": {"endpoint": "http://127.0.0.1:1", "skip_signature": True, "region": "here"},
        "client_options": {"allow_http": True},
        "retry_config": {"max_retries": 0},
    }
    with pytest.raises(StoreError, match=r"s3://bucket/atlas/lance_db cannot be listed: .*127\.0\.0\.1") as raised:
        AtlasLocation.parse("s3://bucket/atlas", unreachable).table_names()
    assert "\n" not in str(raised.value)
