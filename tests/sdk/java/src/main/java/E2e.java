// One working day of a Java user: create, insert, index, search, hybrid search, query, iterate,
// delete, drop. Usage: E2e URI. Prints one line for each step and ends non-zero at the first answer
// that is not the expected one.
//
// Left out, because the server does not serve it yet: users and roles, functions, import.

import com.google.gson.JsonArray;
import com.google.gson.JsonObject;
import io.milvus.orm.iterator.QueryIterator;
import io.milvus.orm.iterator.SearchIterator;
import io.milvus.response.QueryResultsWrapper;
import io.milvus.v2.client.ConnectConfig;
import io.milvus.v2.client.MilvusClientV2;
import io.milvus.v2.common.ConsistencyLevel;
import io.milvus.v2.common.DataType;
import io.milvus.v2.common.IndexParam;
import io.milvus.v2.service.collection.request.AddFieldReq;
import io.milvus.v2.service.collection.request.CreateCollectionReq;
import io.milvus.v2.service.collection.request.DropCollectionReq;
import io.milvus.v2.service.collection.request.HasCollectionReq;
import io.milvus.v2.service.collection.request.LoadCollectionReq;
import io.milvus.v2.service.collection.request.ReleaseCollectionReq;
import io.milvus.v2.service.index.request.CreateIndexReq;
import io.milvus.v2.service.utility.request.FlushReq;
import io.milvus.v2.service.vector.request.AnnSearchReq;
import io.milvus.v2.service.vector.request.DeleteReq;
import io.milvus.v2.service.vector.request.HybridSearchReq;
import io.milvus.v2.service.vector.request.InsertReq;
import io.milvus.v2.service.vector.request.QueryIteratorReq;
import io.milvus.v2.service.vector.request.QueryReq;
import io.milvus.v2.service.vector.request.SearchIteratorReq;
import io.milvus.v2.service.vector.request.SearchReq;
import io.milvus.v2.service.vector.request.UpsertReq;
import io.milvus.v2.service.vector.request.data.FloatVec;
import io.milvus.v2.service.vector.request.data.SparseFloatVec;
import io.milvus.v2.service.vector.request.ranker.RRFRanker;
import io.milvus.v2.service.vector.request.ranker.WeightedRanker;
import io.milvus.v2.service.vector.response.QueryResp;
import io.milvus.v2.service.vector.response.SearchResp;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.SortedMap;
import java.util.TreeMap;
import java.util.stream.Collectors;

public final class E2e {
    static final String NAME = "java_e2e";
    static final int DIM = 8;
    static final int ROWS = 300;

    static void want(String what, Object expected, Object got) {
        if (!expected.equals(got)) {
            throw new AssertionError(what + ": got " + got + ", want " + expected);
        }
        System.out.println("ok " + what);
    }

    static List<Float> dense(int i) {
        List<Float> vector = new ArrayList<>();
        for (int d = 0; d < DIM; d++) {
            vector.add((float) Math.sin(i * 0.7 + d));
        }
        return vector;
    }

    static SortedMap<Long, Float> sparse(int i) {
        SortedMap<Long, Float> row = new TreeMap<>();
        row.put((long) (i % 50), 1f + i % 7);
        row.put((long) (50 + i % 3), 0.5f);
        return row;
    }

    static JsonObject row(int i) {
        JsonObject row = new JsonObject();
        row.addProperty("id", (long) i);
        JsonArray vector = new JsonArray();
        dense(i).forEach(vector::add);
        row.add("dense", vector);
        JsonObject weights = new JsonObject();
        sparse(i).forEach((index, weight) -> weights.addProperty(index.toString(), weight));
        row.add("sparse", weights);
        row.addProperty("color", List.of("red", "green", "blue").get(i % 3));
        JsonArray tags = new JsonArray();
        tags.add((long) (i % 4));
        tags.add((long) (100 + i % 5));
        row.add("tags", tags);
        JsonObject extra = new JsonObject();
        extra.addProperty("rank", i);
        row.add("extra", extra);
        row.addProperty("loose", i * 2);
        return row;
    }

    static AddFieldReq.AddFieldReqBuilder field(String name, DataType type) {
        return AddFieldReq.builder().fieldName(name).dataType(type);
    }

    static List<Long> ids(QueryResp rows) {
        return rows.getQueryResults().stream().map(r -> (Long) r.getEntity().get("id")).collect(Collectors.toList());
    }

    public static void main(String[] args) throws Exception {
        MilvusClientV2 client = new MilvusClientV2(ConnectConfig.builder().uri(args[0]).build());
        try {
            run(client);
        } finally {
            client.close();
        }
        System.out.println("done");
    }

    static void run(MilvusClientV2 client) throws Exception {
        CreateCollectionReq.CollectionSchema schema =
                CreateCollectionReq.CollectionSchema.builder().enableDynamicField(true).build();
        schema.addField(field("id", DataType.Int64).isPrimaryKey(true).build());
        schema.addField(field("dense", DataType.FloatVector).dimension(DIM).build());
        schema.addField(field("sparse", DataType.SparseFloatVector).build());
        schema.addField(field("color", DataType.VarChar).maxLength(16).build());
        schema.addField(field("tags", DataType.Array).elementType(DataType.Int64).maxCapacity(8).build());
        schema.addField(field("extra", DataType.JSON).build());
        client.createCollection(CreateCollectionReq.builder().collectionName(NAME).collectionSchema(schema)
                .consistencyLevel(ConsistencyLevel.STRONG).build());
        want("create collection", true,
                client.hasCollection(HasCollectionReq.builder().collectionName(NAME).build()));

        List<JsonObject> rows = new ArrayList<>();
        for (int i = 0; i < ROWS; i++) {
            rows.add(row(i));
        }
        want("insert", (long) ROWS,
                client.insert(InsertReq.builder().collectionName(NAME).data(rows).build()).getInsertCnt());
        client.flush(FlushReq.builder().collectionNames(List.of(NAME)).build());

        Map<String, Object> hnsw = new HashMap<>();
        hnsw.put("M", 16);
        hnsw.put("efConstruction", 64);
        client.createIndex(CreateIndexReq.builder().collectionName(NAME).indexParams(Arrays.asList(
                IndexParam.builder().fieldName("dense").indexType(IndexParam.IndexType.HNSW)
                        .metricType(IndexParam.MetricType.COSINE).extraParams(hnsw).build(),
                IndexParam.builder().fieldName("sparse").indexType(IndexParam.IndexType.SPARSE_INVERTED_INDEX)
                        .metricType(IndexParam.MetricType.IP).build(),
                IndexParam.builder().fieldName("color").indexType(IndexParam.IndexType.INVERTED).build()))
                .build());
        client.loadCollection(LoadCollectionReq.builder().collectionName(NAME).build());
        System.out.println("ok index and load");

        SearchResp found = client.search(SearchReq.builder().collectionName(NAME).annsField("dense")
                .data(Collections.singletonList(new FloatVec(dense(42)))).limit(5)
                .outputFields(List.of("color", "extra", "loose")).build());
        SearchResp.SearchResult nearest = found.getSearchResults().get(0).get(0);
        want("search", 42L, nearest.getId());
        want("its color", "red", nearest.getEntity().get("color"));

        SearchResp filtered = client.search(SearchReq.builder().collectionName(NAME).annsField("dense")
                .data(Collections.singletonList(new FloatVec(dense(42)))).limit(5)
                .filter("color == \"green\" and array_contains(tags, 3)")
                .outputFields(List.of("color")).build());
        want("search with a filter", 5, filtered.getSearchResults().get(0).size());
        for (SearchResp.SearchResult hit : filtered.getSearchResults().get(0)) {
            want("color of " + hit.getId(), "green", hit.getEntity().get("color"));
        }

        List<AnnSearchReq> parts = Arrays.asList(
                AnnSearchReq.builder().vectorFieldName("dense").limit(10)
                        .vectors(Collections.singletonList(new FloatVec(dense(13)))).build(),
                AnnSearchReq.builder().vectorFieldName("sparse").limit(10)
                        .vectors(Collections.singletonList(new SparseFloatVec(sparse(13)))).build());
        want("hybrid search, RRF", 4, client.hybridSearch(HybridSearchReq.builder().collectionName(NAME)
                .searchRequests(parts).ranker(new RRFRanker(60)).limit(4).build()).getSearchResults().get(0).size());
        want("hybrid search, weighted", 4, client.hybridSearch(HybridSearchReq.builder().collectionName(NAME)
                .searchRequests(parts).ranker(new WeightedRanker(List.of(0.5f, 0.5f))).limit(4).build())
                .getSearchResults().get(0).size());

        QueryResp queried = client.query(QueryReq.builder().collectionName(NAME)
                .filter("id in [1, 2, 3] or extra[\"rank\"] == 299").outputFields(List.of("id", "extra")).build());
        want("query", List.of(1L, 2L, 3L, 299L), ids(queried));

        QueryIterator iterator = client.queryIterator(QueryIteratorReq.builder().collectionName(NAME)
                .expr("id >= 0").batchSize(70L).outputFields(List.of("id")).build());
        int seen = 0;
        for (List<QueryResultsWrapper.RowRecord> batch = iterator.next(); !batch.isEmpty(); batch = iterator.next()) {
            seen += batch.size();
        }
        iterator.close();
        want("query iterator", ROWS, seen);

        SearchIterator searches = client.searchIterator(SearchIteratorReq.builder().collectionName(NAME)
                .vectorFieldName("dense").vectors(Collections.singletonList(new FloatVec(dense(7)))).batchSize(50L)
                .topK(200).metricType(IndexParam.MetricType.COSINE).outputFields(List.of("id")).build());
        Set<Object> hits = new HashSet<>();
        for (List<QueryResultsWrapper.RowRecord> batch = searches.next(); !batch.isEmpty(); batch = searches.next()) {
            batch.forEach(record -> hits.add(record.get("id")));
        }
        searches.close();
        want("search iterator", 200, hits.size());

        JsonObject changed = row(5);
        changed.addProperty("color", "violet");
        want("upsert", 1L, client.upsert(UpsertReq.builder().collectionName(NAME).data(List.of(changed)).build())
                .getUpsertCnt());
        want("delete", 5L, client.delete(DeleteReq.builder().collectionName(NAME).filter("id < 5").build())
                .getDeleteCnt());
        QueryResp rest = client.query(QueryReq.builder().collectionName(NAME).filter("id < 10")
                .outputFields(List.of("id", "color")).build());
        want("the rest", List.of(5L, 6L, 7L, 8L, 9L), ids(rest));
        want("the upserted row", "violet", rest.getQueryResults().get(0).getEntity().get("color"));

        client.releaseCollection(ReleaseCollectionReq.builder().collectionName(NAME).build());
        client.dropCollection(DropCollectionReq.builder().collectionName(NAME).build());
        want("drop", false, client.hasCollection(HasCollectionReq.builder().collectionName(NAME).build()));
    }
}
