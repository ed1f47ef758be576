// One working day of a Go user: create, insert, index, search, hybrid search, query, iterate,
// delete, drop. Usage: e2e HOST:PORT. Prints one line for each step and ends non-zero at the first
// answer that is not the expected one.
//
// Left out, because the server does not serve it yet: users and roles, functions, import.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/milvus-io/milvus/client/v2/column"
	"github.com/milvus-io/milvus/client/v2/entity"
	"github.com/milvus-io/milvus/client/v2/index"
	"github.com/milvus-io/milvus/client/v2/milvusclient"
)

const (
	name = "go_e2e"
	dim  = 8
	rows = 300
)

func check(what string, err error) {
	if err != nil {
		fmt.Printf("failed %s: %v\n", what, err)
		os.Exit(1)
	}
	fmt.Println("ok", what)
}

func want(what string, holds bool, got any) {
	if !holds {
		fmt.Printf("failed %s: got %v\n", what, got)
		os.Exit(1)
	}
}

func dense(i int) []float32 {
	vector := make([]float32, dim)
	for d := range vector {
		vector[d] = float32(math.Sin(float64(i)*0.7 + float64(d)))
	}
	return vector
}

func sparse(i int) entity.SparseEmbedding {
	row, err := entity.NewSliceSparseEmbedding(
		[]uint32{uint32(i % 50), uint32(50 + i%3)}, []float32{1 + float32(i%7), 0.5})
	if err != nil {
		panic(err)
	}
	return row
}

func columns() []column.Column {
	var ids []int64
	var vectors [][]float32
	var sparses []entity.SparseEmbedding
	var colors []string
	var tags [][]int64
	var extras [][]byte
	for i := range rows {
		ids = append(ids, int64(i))
		vectors = append(vectors, dense(i))
		sparses = append(sparses, sparse(i))
		colors = append(colors, []string{"red", "green", "blue"}[i%3])
		tags = append(tags, []int64{int64(i % 4), int64(100 + i%5)})
		extras = append(extras, fmt.Appendf(nil, `{"rank": %d}`, i))
	}
	return []column.Column{
		column.NewColumnInt64("id", ids),
		column.NewColumnFloatVector("dense", dim, vectors),
		column.NewColumnSparseVectors("sparse", sparses),
		column.NewColumnVarChar("color", colors),
		column.NewColumnInt64Array("tags", tags),
		column.NewColumnJSONBytes("extra", extras),
	}
}

func ids(result milvusclient.ResultSet, field string) []int64 {
	var found []int64
	values := result.IDs
	if field != "" {
		values = result.GetColumn(field)
	}
	for i := range values.Len() {
		id, err := values.GetAsInt64(i)
		check("read an id", err)
		found = append(found, id)
	}
	return found
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	client, err := milvusclient.New(ctx, &milvusclient.ClientConfig{Address: os.Args[1]})
	check("connect", err)
	defer client.Close(ctx)

	schema := entity.NewSchema().WithName(name).WithDynamicFieldEnabled(true).
		WithField(entity.NewField().WithName("id").WithDataType(entity.FieldTypeInt64).WithIsPrimaryKey(true)).
		WithField(entity.NewField().WithName("dense").WithDataType(entity.FieldTypeFloatVector).WithDim(dim)).
		WithField(entity.NewField().WithName("sparse").WithDataType(entity.FieldTypeSparseVector)).
		WithField(entity.NewField().WithName("color").WithDataType(entity.FieldTypeVarChar).WithMaxLength(16)).
		WithField(entity.NewField().WithName("tags").WithDataType(entity.FieldTypeArray).
			WithElementType(entity.FieldTypeInt64).WithMaxCapacity(8)).
		WithField(entity.NewField().WithName("extra").WithDataType(entity.FieldTypeJSON))
	check("create collection", client.CreateCollection(ctx,
		milvusclient.NewCreateCollectionOption(name, schema).WithConsistencyLevel(entity.ClStrong)))

	inserted, err := client.Insert(ctx, milvusclient.NewColumnBasedInsertOption(name, columns()...))
	check("insert", err)
	want("insert count", inserted.InsertCount == rows, inserted.InsertCount)
	flush, err := client.Flush(ctx, milvusclient.NewFlushOption(name))
	check("flush", err)
	check("await flush", flush.Await(ctx))

	for field, definition := range map[string]index.Index{
		"dense":  index.NewHNSWIndex(entity.COSINE, 16, 64),
		"sparse": index.NewSparseInvertedIndex(entity.IP, 0),
		"color":  index.NewInvertedIndex(),
	} {
		task, err := client.CreateIndex(ctx, milvusclient.NewCreateIndexOption(name, field, definition))
		check("index "+field, err)
		check("await index "+field, task.Await(ctx))
	}
	load, err := client.LoadCollection(ctx, milvusclient.NewLoadCollectionOption(name))
	check("load", err)
	check("await load", load.Await(ctx))

	found, err := client.Search(ctx, milvusclient.NewSearchOption(
		name, 5, []entity.Vector{entity.FloatVector(dense(42))}).
		WithANNSField("dense").WithOutputFields("color", "extra"))
	check("search", err)
	want("nearest", ids(found[0], "")[0] == 42 && math.Abs(float64(found[0].Scores[0])-1) < 1e-3, found[0])
	color, err := found[0].GetColumn("color").GetAsString(0)
	check("read a color", err)
	want("color", color == "red", color)

	filtered, err := client.Search(ctx, milvusclient.NewSearchOption(
		name, 5, []entity.Vector{entity.FloatVector(dense(42))}).WithANNSField("dense").
		WithFilter(`color == "green" and array_contains(tags, 3)`).WithOutputFields("color"))
	check("search with a filter", err)
	want("filtered", filtered[0].Len() == 5, filtered[0].Len())

	for what, ranker := range map[string]milvusclient.Reranker{
		"RRF":      milvusclient.NewRRFReranker(),
		"weighted": milvusclient.NewWeightedReranker([]float64{0.5, 0.5}),
	} {
		hybrid, err := client.HybridSearch(ctx, milvusclient.NewHybridSearchOption(name, 4,
			milvusclient.NewAnnRequest("dense", 10, entity.FloatVector(dense(13))),
			milvusclient.NewAnnRequest("sparse", 10, sparse(13))).
			WithReranker(ranker).WithOutputFields("color"))
		check("hybrid search, "+what, err)
		want("hybrid hits", hybrid[0].Len() == 4, hybrid[0].Len())
	}

	queried, err := client.Query(ctx, milvusclient.NewQueryOption(name).
		WithFilter(`id in [1, 2, 3] or extra["rank"] == 299`).WithOutputFields("id", "extra"))
	check("query", err)
	got := ids(queried, "id")
	want("queried", fmt.Sprint(got) == "[1 2 3 299]", got)

	iterator, err := client.QueryIterator(ctx, milvusclient.NewQueryIteratorOption(name).
		WithBatchSize(70).WithOutputFields("id"))
	check("query iterator", err)
	seen := 0
	for {
		batch, err := iterator.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		check("next rows", err)
		seen += batch.Len()
	}
	want("iterated", seen == rows, seen)

	searches, err := client.SearchIterator(ctx, milvusclient.NewSearchIteratorOption(
		name, entity.FloatVector(dense(7))).WithANNSField("dense").WithBatchSize(50).WithIteratorLimit(200))
	check("search iterator", err)
	hits := map[int64]bool{}
	for {
		batch, err := searches.Next(ctx)
		if errors.Is(err, io.EOF) {
			break
		}
		check("next hits", err)
		for _, id := range ids(batch, "") {
			hits[id] = true
		}
	}
	want("distinct hits", len(hits) == 200, len(hits))

	upserted, err := client.Upsert(ctx, milvusclient.NewColumnBasedInsertOption(name,
		column.NewColumnInt64("id", []int64{5}),
		column.NewColumnFloatVector("dense", dim, [][]float32{dense(5)}),
		column.NewColumnSparseVectors("sparse", []entity.SparseEmbedding{sparse(5)}),
		column.NewColumnVarChar("color", []string{"violet"}),
		column.NewColumnInt64Array("tags", [][]int64{{1}}),
		column.NewColumnJSONBytes("extra", [][]byte{[]byte(`{}`)})))
	check("upsert", err)
	want("upsert count", upserted.UpsertCount == 1, upserted.UpsertCount)
	deleted, err := client.Delete(ctx, milvusclient.NewDeleteOption(name).WithExpr("id < 5"))
	check("delete", err)
	want("delete count", deleted.DeleteCount == 5, deleted.DeleteCount)
	rest, err := client.Query(ctx, milvusclient.NewQueryOption(name).
		WithFilter("id < 10").WithOutputFields("id", "color"))
	check("query the rest", err)
	got = ids(rest, "id")
	want("the rest", fmt.Sprint(got) == "[5 6 7 8 9]", got)

	check("release", client.ReleaseCollection(ctx, milvusclient.NewReleaseCollectionOption(name)))
	check("drop", client.DropCollection(ctx, milvusclient.NewDropCollectionOption(name)))
	exists, err := client.HasCollection(ctx, milvusclient.NewHasCollectionOption(name))
	check("has collection", err)
	want("dropped", !exists, exists)
	fmt.Println("done")
}
