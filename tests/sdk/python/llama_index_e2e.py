"""LlamaIndex's Milvus vector store, unchanged, on a small retrieval task. Usage: ... URI"""

import sys

from llama_index.core.schema import NodeRelationship, RelatedNodeInfo, TextNode
from llama_index.core.vector_stores.types import (
    ExactMatchFilter,
    MetadataFilters,
    VectorStoreQuery,
)
from llama_index.vector_stores.milvus import MilvusVectorStore
from retrieval_data import Sentences

data = Sentences()
store = MilvusVectorStore(
    uri=sys.argv[1],
    collection_name="llama_index_e2e",
    dim=len(data.embed(data.texts[0])),
    similarity_metric="COSINE",
    consistency_level="Strong",
    overwrite=True,
)
nodes = [
    TextNode(
        id_=f"n{number}",
        text=text,
        embedding=data.embed(text),
        metadata={"source": row["source"]},
        relationships={NodeRelationship.SOURCE: RelatedNodeInfo(node_id=f"doc{number}")},
    )
    for number, (text, row) in enumerate(zip(data.texts, data.rows))
]
assert len(store.add(nodes)) == len(nodes)

for query in data.queries[:5]:
    ask = VectorStoreQuery(query_embedding=data.embed(query), similarity_top_k=3)
    found = [node.get_content() for node in store.query(ask).nodes]
    assert found == data.nearest(query, 3), (query, found)
    only = MetadataFilters(filters=[ExactMatchFilter(key="source", value="wordnet")])
    ask = VectorStoreQuery(query_embedding=data.embed(query), similarity_top_k=3, filters=only)
    found = [node.get_content() for node in store.query(ask).nodes]
    assert found == data.nearest(query, 3, keep=lambda row: row["source"] == "wordnet"), query

assert [node.get_content() for node in store.get_nodes(node_ids=["n5"])] == [data.texts[5]]
store.delete("doc5")
assert store.get_nodes(node_ids=["n5"]) == []
store.clear()
print("done")
