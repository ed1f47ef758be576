// One working day of a Node user: create, insert, index, search, hybrid search, query, iterate,
// delete, drop. Usage: node e2e.mjs HOST:PORT. Prints one line for each step; ends non-zero at the
// first answer that is not the expected one.
//
// Left out, because the server does not serve it yet: users and roles, functions, import.

import assert from 'node:assert/strict';
import {
  DataType,
  IndexType,
  MetricType,
  MilvusClient,
  RRFRanker,
  WeightedRanker,
} from '@zilliz/milvus2-sdk-node';

const name = 'node_e2e';
const dim = 8;
const rows = 300;
const client = new MilvusClient({ address: process.argv[2], telemetry: { enabled: false } });

const ok = (what, reply) => {
  const status = reply.status ?? reply;
  assert.equal(status.error_code, 'Success', `${what}: ${JSON.stringify(status)}`);
  console.log(`ok ${what}`);
  return reply;
};
const vector = i => Array.from({ length: dim }, (_, d) => Math.sin(i * 0.7 + d));
const sparse = i => ({ [i % 50]: 1 + (i % 7), [50 + (i % 3)]: 0.5 });
const row = i => ({
  id: i,
  dense: vector(i),
  sparse: sparse(i),
  color: ['red', 'green', 'blue'][i % 3],
  tags: [i % 4, 100 + (i % 5)],
  extra: { rank: i, name: `row ${i}` },
  note: i % 2 ? null : `note ${i}`,
  loose: i * 2,
});

await client.connectPromise;
const version = await client.getVersion();
assert.ok('version' in version);

ok(
  'create collection',
  await client.createCollection({
    collection_name: name,
    enable_dynamic_field: true,
    fields: [
      { name: 'id', data_type: DataType.Int64, is_primary_key: true },
      { name: 'dense', data_type: DataType.FloatVector, dim },
      { name: 'sparse', data_type: DataType.SparseFloatVector },
      { name: 'color', data_type: DataType.VarChar, max_length: 16 },
      { name: 'tags', data_type: DataType.Array, element_type: DataType.Int64, max_capacity: 8 },
      { name: 'extra', data_type: DataType.JSON },
      { name: 'note', data_type: DataType.VarChar, max_length: 64, nullable: true },
    ],
  }),
);
assert.equal((await client.hasCollection({ collection_name: name })).value, true);
const described = ok('describe', await client.describeCollection({ collection_name: name }));
assert.deepEqual(
  described.schema.fields.map(field => field.name),
  ['id', 'dense', 'sparse', 'color', 'tags', 'extra', 'note'],
);

const data = Array.from({ length: rows }, (_, i) => row(i));
const inserted = ok('insert', await client.insert({ collection_name: name, data }));
assert.equal(Number(inserted.insert_cnt), rows);
ok('flush', await client.flushSync({ collection_names: [name] }));

ok(
  'index the dense field',
  await client.createIndex({
    collection_name: name,
    field_name: 'dense',
    index_type: IndexType.HNSW,
    metric_type: MetricType.COSINE,
    params: { M: 16, efConstruction: 64 },
  }),
);
ok(
  'index the sparse field',
  await client.createIndex({
    collection_name: name,
    field_name: 'sparse',
    index_type: IndexType.SPARSE_INVERTED_INDEX,
    metric_type: MetricType.IP,
  }),
);
ok(
  'index a scalar field',
  await client.createIndex({ collection_name: name, field_name: 'color', index_type: 'INVERTED' }),
);
ok('load', await client.loadCollectionSync({ collection_name: name }));

const found = ok(
  'search',
  await client.search({
    collection_name: name,
    anns_field: 'dense',
    data: vector(42),
    limit: 5,
    consistency_level: 'Strong',
    output_fields: ['id', 'color', 'tags', 'extra', 'note', 'loose'],
  }),
);
assert.equal(found.results[0].id, '42');
assert.ok(Math.abs(found.results[0].score - 1) < 1e-3);
assert.equal(found.results[0].color, 'red');
assert.equal(found.results[0].note, 'note 42');
assert.equal(Number(found.results[0].loose), 84);

const filtered = ok(
  'search with a filter',
  await client.search({
    collection_name: name,
    anns_field: 'dense',
    data: vector(42),
    limit: 5,
    filter: 'color == "green" and array_contains(tags, 3)',
    output_fields: ['color', 'tags'],
  }),
);
assert.ok(filtered.results.length === 5);
for (const hit of filtered.results) {
  assert.equal(hit.color, 'green');
  assert.ok(hit.tags.map(Number).includes(3));
}

const sparseFound = ok(
  'search the sparse field',
  await client.search({
    collection_name: name,
    anns_field: 'sparse',
    data: sparse(13),
    limit: 3,
    metric_type: 'IP',
  }),
);
const dot = (a, b) => Object.keys(a).reduce((sum, k) => sum + a[k] * (b[k] ?? 0), 0);
const best = Math.max(...data.map(r => dot(r.sparse, sparse(13))));
assert.ok(Math.abs(sparseFound.results[0].score - best) < 1e-3);

for (const [what, rerank] of [
  ['hybrid search, RRF', RRFRanker(60)],
  ['hybrid search, weighted', WeightedRanker([0.5, 0.5])],
]) {
  const hybrid = ok(
    what,
    await client.hybridSearch({
      collection_name: name,
      data: [
        { anns_field: 'dense', data: vector(13), limit: 10 },
        { anns_field: 'sparse', data: sparse(13), limit: 10 },
      ],
      rerank,
      limit: 4,
      output_fields: ['id', 'color'],
    }),
  );
  assert.equal(hybrid.results.length, 4);
  assert.equal(new Set(hybrid.results.map(hit => hit.id)).size, 4);
}

const queried = ok(
  'query',
  await client.query({
    collection_name: name,
    filter: 'id in [1, 2, 3] or extra["rank"] == 299',
    output_fields: ['id', 'extra', 'note'],
    consistency_level: 'Strong',
  }),
);
assert.deepEqual(queried.data.map(r => r.id), ['1', '2', '3', '299']);
assert.equal(queried.data[1].note, 'note 2');
assert.equal(queried.data[0].note, null);
const counted = await client.count({ collection_name: name, expr: 'color == "red"' });
assert.equal(Number(counted.data), 100);

let seen = 0;
const iterator = await client.queryIterator({
  collection_name: name,
  filter: 'id >= 0',
  batchSize: 70,
  output_fields: ['id'],
});
for await (const batch of iterator) seen += batch.length;
assert.equal(seen, rows);
console.log('ok query iterator');

const hits = new Set();
const searches = await client.searchIterator({
  collection_name: name,
  anns_field: 'dense',
  data: vector(7),
  batchSize: 50,
  limit: 200,
  output_fields: ['id'],
});
for await (const batch of searches) for (const hit of batch) hits.add(hit.id);
assert.equal(hits.size, 200);
console.log('ok search iterator');

const upserted = ok(
  'upsert',
  await client.upsert({ collection_name: name, data: [{ ...row(5), color: 'violet' }] }),
);
assert.equal(Number(upserted.upsert_cnt), 1);
const gone = ok('delete', await client.delete({ collection_name: name, filter: 'id < 5' }));
assert.equal(Number(gone.delete_cnt), 5);
const rest = await client.query({
  collection_name: name,
  filter: 'id < 10',
  output_fields: ['color'],
  consistency_level: 'Strong',
});
assert.deepEqual(rest.data.map(r => r.id), ['5', '6', '7', '8', '9']);
assert.equal(rest.data[0].color, 'violet');

ok('release', await client.releaseCollection({ collection_name: name }));
ok('drop', await client.dropCollection({ collection_name: name }));
assert.equal((await client.hasCollection({ collection_name: name })).value, false);
await client.closeConnection();
console.log('done');
