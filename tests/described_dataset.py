"""A dataset whose arrays have metadata but no data: for tests of the catalog, which never reads array data."""

import json

import pyarrow as pa

import homeobox as hox
from homeobox._core import Store
from homeobox.catalog import layout_rows
from homeobox.schema import DatasetRecord, make_uid


def add_described_dataset(
    atlas: hox.RaggedAtlas,
    group: str,
    genes: list[str],
    n_cells: int,
) -> DatasetRecord:
    """Add cells with one count each to an atlas, in the order in which an ingest writes tables."""
    catalog = atlas.catalog
    layout_uid, layout = layout_rows(genes, catalog.registry("gene_expression"))
    record = DatasetRecord(zarr_group=group, feature_space="gene_expression", n_cells=n_cells, layout_uid=layout_uid)
    for path in ("", "csr", "csr/layers"):
        _write_node(catalog.store, f"{group}/{path}", {"node_type": "group"})
    for path, data_type in (("csr/indices", "uint32"), ("csr/layers/counts", "float32")):
        _write_node(
            catalog.store, f"{group}/{path}", {"node_type": "array", "shape": [n_cells], "data_type": data_type}
        )
    catalog.layouts.add_rows(layout)
    catalog.datasets.add(record)
    pointers = [
        {"feature_space": "gene_expression", "zarr_group": group, "start": row, "end": row + 1, "zarr_row": row}
        for row in range(n_cells)
    ]
    uids = [make_uid() for _ in range(n_cells)]
    catalog.append_cells(
        pa.table(
            {"uid": uids, "dataset_uid": [record.uid] * n_cells, "gene_expression": pointers},
            schema=catalog.cells_schema,
        )
    )
    return record


def _write_node(store: Store, path: str, node: dict) -> None:
    store.write(f"{path.rstrip('/')}/zarr.json", json.dumps({**node, "zarr_format": 3}).encode())
