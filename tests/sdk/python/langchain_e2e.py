"""LangChain's Milvus vector store, unchanged, on a small retrieval task. Usage: ... URI"""

import sys

from langchain_core.documents import Document
from langchain_core.embeddings import Embeddings
from langchain_milvus import Milvus
from retrieval_data import Sentences

data = Sentences()


class Lookup(Embeddings):
    def embed_documents(self, texts):
        return [data.embed(text) for text in texts]

    def embed_query(self, text):
        return data.embed(text)


store = Milvus(
    embedding_function=Lookup(),
    collection_name="langchain_e2e",
    connection_args={"uri": sys.argv[1]},
    index_params={"index_type": "HNSW", "metric_type": "COSINE", "params": {"M": 16}},
    consistency_level="Strong",
    drop_old=True,
)
documents = [
    Document(page_content=text, metadata={"source": row["source"], "number": number})
    for number, (text, row) in enumerate(zip(data.texts, data.rows))
]
ids = store.add_documents(documents, ids=[f"d{number}" for number in range(len(documents))])
assert len(ids) == len(documents), len(ids)

for query in data.queries[:5]:
    found = [document.page_content for document in store.similarity_search(query, k=3)]
    assert found == data.nearest(query, 3), (query, found)
    scored = store.similarity_search_with_score(query, k=3)
    scores = [score for _, score in scored]
    assert scores == sorted(scores, reverse=True), scores
    words = store.similarity_search(query, k=3, expr='source == "wordnet"')
    want = data.nearest(query, 3, keep=lambda row: row["source"] == "wordnet")
    assert [document.page_content for document in words] == want, query

retriever = store.as_retriever(search_kwargs={"k": 2})
assert [d.page_content for d in retriever.invoke(data.queries[7])] == data.nearest(data.queries[7], 2)
spread = store.max_marginal_relevance_search(data.queries[0], k=3, fetch_k=10)
assert len(spread) == 3



def stored(key):
    return store.client.query("langchain_e2e", ids=[key], output_fields=["text", "source"])


assert store.delete(ids=["d0", "d1"])
assert stored("d0") == []
assert stored("d2")[0]["text"] == data.texts[2]
edited = Document(page_content=data.texts[2], metadata={"source": "edited", "number": -2})
store.upsert(ids=["d2"], documents=[edited])
assert stored("d2")[0]["source"] == "edited"
store.client.drop_collection("langchain_e2e")
print("done")
