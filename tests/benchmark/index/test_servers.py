"""Indexes of servers and of FAISS hold what the arrays hold; the files of a map do there what NumPy does."""

import runpy

import numpy as np
import pytest

from benchmark.__main__ import camtrace
from benchmark.index import audit_index, write_index
from builders.errors import DataError, RemoteError, UsageError
from tests.support.index_servers import postgres, postgres_binaries, qdrant
from tests.support.planted_index import vectors_of, write_rows

N = 400
RNG = np.random.default_rng(3)
LABELS, SITES = RNG.integers(0, 4, N), RNG.integers(0, 2, N)
VECTORS = vectors_of(LABELS, SITES, 0.8)
NAMES = [f"p/{i}.jpg" for i in range(N)]
COLUMNS = {"path": NAMES, "species": [f"s{x}" for x in LABELS], "site": [f"site{x}" for x in SITES]}
OPTIONS = "label=species&group=site"


def numbers(result):
    return {key: value for key, value in result.to_json().items() if key not in ("index", "seconds")}


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    place = write_rows(tmp_path_factory.mktemp("plain"), VECTORS, **COLUMNS)
    return audit_index(f"{place}?{OPTIONS}", repair=True)


@pytest.fixture(scope="module")
def files(plain, tmp_path_factory):
    folder = tmp_path_factory.mktemp("map")
    write_index(plain, folder, folder)
    return folder


def mapped(files, rows):
    """The map as its .npz has it, in float64, by plain steps."""
    with np.load(files / "map.npz") as stored:
        y = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float64) @ stored["matrix"].T + stored[
            "bias"
        ]
    return y / np.linalg.norm(y, axis=1, keepdims=True)


def test_faiss__the_same_answers_and_the_same_map(plain, files, tmp_path):
    import faiss

    index = faiss.IndexFlatL2(16)
    index.add(VECTORS)
    faiss.write_index(index, str(tmp_path / "index.faiss"))
    write_rows(tmp_path, VECTORS[:1].repeat(N, 0), **COLUMNS)  # the columns beside it; the array is not read
    assert numbers(audit_index(f"{tmp_path / 'index.faiss'}?{OPTIONS}", repair=True)) == numbers(plain)
    transform = faiss.read_VectorTransform(str(files / "map.faiss"))
    unit = VECTORS / np.linalg.norm(VECTORS, axis=1, keepdims=True)
    y = transform.apply(unit)
    assert np.abs(y / np.linalg.norm(y, axis=1, keepdims=True) - mapped(files, VECTORS)).max() < 1e-6
    chain = faiss.IndexPreTransform(faiss.NormalizationTransform(16, 2.0), faiss.IndexFlatIP(16))
    for step in (transform, faiss.NormalizationTransform(16, 2.0)):
        chain.prepend_transform(step)
    chain.add(VECTORS)
    near = np.argsort(-(mapped(files, VECTORS[:50]) @ mapped(files, VECTORS).T), axis=1)[:, :10]
    assert (chain.search(VECTORS[:50], 10)[1] == near).mean() > 0.99


def test_faiss__an_index_that_gives_no_vectors_back_is_refused(tmp_path):
    (tmp_path / "broken.faiss").write_bytes(b"not an index")
    write_rows(tmp_path, VECTORS, **COLUMNS)
    with pytest.raises(DataError, match=r"broken\.faiss"):
        audit_index(f"{tmp_path / 'broken.faiss'}?{OPTIONS}&table={tmp_path / 'index.csv'}")


def test_parquet__one_file_or_a_folder_of_several(plain, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    table = pa.table({**COLUMNS, "embedding": [row.tolist() for row in VECTORS]})
    table = table.set_column(3, "embedding", table["embedding"].cast(pa.list_(pa.float32())))
    pq.write_table(table.slice(0, 150), tmp_path / "0.parquet")
    pq.write_table(table.slice(150), tmp_path / "1.parquet")
    assert numbers(audit_index(f"{tmp_path}?{OPTIONS}", repair=True)) == numbers(plain)
    with pytest.raises(UsageError, match="vectors"):
        audit_index(f"{tmp_path}?{OPTIONS}&vector=vectors")


@pytest.mark.slow
def test_qdrant__pages_of_the_rest_interface_are_joined(plain, files, monkeypatch):
    points = [
        {"id": i, "vector": {"picture": row.tolist(), "text": [0.0]}, "payload": {k: v[i] for k, v in COLUMNS.items()}}
        for i, row in enumerate(VECTORS)
    ]
    monkeypatch.setattr("benchmark.index.sources.PAGE", 150)
    with qdrant("photos", points) as (address, pages):
        found = audit_index(f"qdrant:{address}?{OPTIONS}&vector=picture", repair=True)
        assert [page.get("offset") for page in pages] == [None, 150, 300]
        with pytest.raises(RemoteError, match="qdrant:other"):
            audit_index(f"qdrant:{address.replace('/photos', '/other')}?{OPTIONS}")
    assert numbers(found) == numbers(plain)


@pytest.mark.slow
def test_qdrant__the_script_of_the_map_copies_a_collection(files):
    from qdrant_client import QdrantClient
    from qdrant_client.models import Distance, PointStruct, VectorParams

    client = QdrantClient(":memory:")  # the client's own code without a server
    client.create_collection("photos", VectorParams(size=16, distance=Distance.COSINE))
    client.upsert("photos", [PointStruct(id=i, vector=VECTORS[i].tolist(), payload={"n": i}) for i in range(60)])
    script = runpy.run_path(str(files / "apply_map.py"))
    script["map_collection"](client, "photos", "mapped", batch=25)
    points, _ = client.scroll("mapped", limit=100, with_vectors=True)
    assert [point.payload["n"] for point in points] == list(range(60))
    assert np.abs(np.array([point.vector for point in points]) - mapped(files, VECTORS[:60])).max() < 1e-6
    assert np.abs(script["apply_map"](VECTORS) - mapped(files, VECTORS)).max() < 1e-6
    assert np.abs(script["apply_map"](VECTORS[3]) - mapped(files, VECTORS[3:4])[0]).max() < 1e-6


@pytest.mark.slow
@pytest.mark.skipif(postgres_binaries() is None, reason="PostgreSQL with pgvector is not installed")
def test_pgvector__the_same_answers_and_the_same_map(plain, files, tmp_path, capsys):
    import psycopg

    with postgres() as address:
        with psycopg.connect(address) as connection, connection.cursor() as cursor:
            cursor.execute("CREATE TABLE items (path text, species text, site text, embedding vector(16))")
            for i, row in enumerate(VECTORS):
                values = [column[i] for column in COLUMNS.values()]
                cursor.execute("INSERT INTO items VALUES (%s, %s, %s, %s)", [*values, str(row.tolist())])
        assert numbers(audit_index(f"pgvector:{address}?table=items&{OPTIONS}", repair=True)) == numbers(plain)
        sql = (files / "map.sql").read_text()
        with psycopg.connect(address, autocommit=True) as connection:
            connection.execute(sql)
            connection.execute(sql)  # once more changes nothing
            rows = connection.execute("SELECT path, camtrace_map(embedding)::real[] FROM items").fetchall()
            vectors = np.array([dict(rows)[name] for name in NAMES])
            assert np.abs(vectors - mapped(files, VECTORS)).max() < 1e-6
            query = str(VECTORS[5].tolist())
            near = connection.execute(
                "SELECT path FROM items ORDER BY camtrace_map(embedding) <=> camtrace_map(%s::vector) LIMIT 10", [query]
            ).fetchall()
            expected = np.argsort(-(mapped(files, VECTORS[5:6]) @ mapped(files, VECTORS).T)[0])[:10]
            assert [path for (path,) in near] == [NAMES[i] for i in expected]
        secret = address.replace("postgres@", "postgres:hidden@")
        assert camtrace(["audit", "index", f"pgvector:{secret}?table=nothing&{OPTIONS}", "-o", str(tmp_path)]) == 2
        printed = capsys.readouterr().err
        assert "nothing" in printed
        assert "hidden" not in printed
