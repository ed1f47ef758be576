//! S3's operations over [`Objects`].

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use bytes::Bytes;
use futures::TryStreamExt as _;
use milvus_base::{clock, random};
use s3s::dto::*;
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};

use crate::objects::{Condition, NotStored, Objects, Stored, md5_hex};
use crate::server::Shared;

const LARGEST_PAGE: usize = 1000;
const TRICKLE_PIECE: usize = 16 * 1024;
const SMALLEST_PART: usize = 5 * 1024 * 1024;

/// The service.
pub(crate) struct Api {
    pub(crate) shared: Arc<Shared>,
}

/// An upload in parts, on its way.
pub(crate) struct Upload {
    bucket: String,
    key: String,
    metadata: HashMap<String, String>,
    parts: BTreeMap<i32, (String, Bytes)>,
}

impl Api {
    fn objects(&self) -> &Objects {
        &self.shared.objects
    }

    fn condition(
        &self,
        if_match: Option<IfMatch>,
        if_none_match: Option<IfNoneMatch>,
    ) -> S3Result<Condition> {
        if self.shared.ignores_conditions() {
            return Ok(Condition::None);
        }
        condition(if_match, if_none_match)
    }
}

fn refused(error: NotStored) -> s3s::S3Error {
    match error {
        NotStored::NoBucket => s3_error!(NoSuchBucket, "The specified bucket does not exist"),
        NotStored::NoKey => s3_error!(NoSuchKey, "The specified key does not exist."),
        NotStored::Condition => {
            s3_error!(PreconditionFailed, "At least one of the conditions did not hold")
        }
        NotStored::Io(error) => s3_error!(error, InternalError),
    }
}

fn condition(if_match: Option<IfMatch>, if_none_match: Option<IfNoneMatch>) -> S3Result<Condition> {
    match (if_match, if_none_match) {
        (None, None) => Ok(Condition::None),
        (None, Some(any)) if any.is_any() => Ok(Condition::Absent),
        (Some(tag), None) => match tag.as_etag() {
            Some(etag) => Ok(Condition::Match(etag.value().to_owned())),
            None => Err(s3_error!(NotImplemented, "If-Match: * is not supported for puts")),
        },
        (_, Some(_)) => Err(s3_error!(NotImplemented, "If-None-Match takes only * for puts")),
    }
}

async fn all(body: Option<StreamingBlob>, length: Option<i64>) -> S3Result<Bytes> {
    let mut bytes = Vec::new();
    if let Some(mut body) = body {
        while let Some(chunk) =
            body.try_next().await.map_err(|error| s3_error!(IncompleteBody, "{error}"))?
        {
            bytes.extend_from_slice(&chunk);
        }
    }
    match length {
        Some(length) if i64::try_from(bytes.len()) != Ok(length) => {
            Err(s3_error!(IncompleteBody, "got {} bytes, want {length}", bytes.len()))
        }
        _ => Ok(bytes.into()),
    }
}

fn time(ms: u64) -> Timestamp {
    Timestamp::from(UNIX_EPOCH + Duration::from_millis(ms))
}

fn length(size: u64) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

fn tag(stored: &Stored) -> ETag {
    ETag::Strong(stored.etag.clone())
}

#[async_trait::async_trait]
impl S3 for Api {
    async fn create_bucket(
        &self,
        request: S3Request<CreateBucketInput>,
    ) -> S3Result<S3Response<CreateBucketOutput>> {
        let bucket = request.input.bucket;
        match self.objects().make_bucket(&bucket) {
            Ok(true) => {
                let location = Some(format!("/{bucket}"));
                Ok(S3Response::new(CreateBucketOutput { location }))
            }
            Ok(false) => Err(s3_error!(BucketAlreadyOwnedByYou)),
            Err(error) => Err(s3_error!(error, InternalError)),
        }
    }

    async fn head_bucket(
        &self,
        request: S3Request<HeadBucketInput>,
    ) -> S3Result<S3Response<HeadBucketOutput>> {
        if self.objects().has_bucket(&request.input.bucket) {
            return Ok(S3Response::new(HeadBucketOutput::default()));
        }
        Err(refused(NotStored::NoBucket))
    }

    async fn list_buckets(
        &self,
        _: S3Request<ListBucketsInput>,
    ) -> S3Result<S3Response<ListBucketsOutput>> {
        let buckets = self.objects().buckets().into_iter();
        let buckets = buckets.map(|name| Bucket { name: Some(name), ..Default::default() });
        let buckets = Some(buckets.collect());
        Ok(S3Response::new(ListBucketsOutput { buckets, ..Default::default() }))
    }

    async fn get_bucket_location(
        &self,
        request: S3Request<GetBucketLocationInput>,
    ) -> S3Result<S3Response<GetBucketLocationOutput>> {
        if self.objects().has_bucket(&request.input.bucket) {
            return Ok(S3Response::new(GetBucketLocationOutput::default()));
        }
        Err(refused(NotStored::NoBucket))
    }

    async fn put_object(
        &self,
        request: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let input = request.input;
        let condition = self.condition(input.if_match, input.if_none_match)?;
        let bytes = all(input.body, input.content_length).await?;
        let metadata = input.metadata.unwrap_or_default();
        let stored = self
            .objects()
            .put(&input.bucket, &input.key, bytes, metadata, &condition)
            .map_err(refused)?;
        let e_tag = Some(tag(&stored));
        Ok(S3Response::new(PutObjectOutput { e_tag, ..Default::default() }))
    }

    async fn get_object(
        &self,
        request: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let input = request.input;
        let found = self.objects().read(&input.bucket, &input.key).map_err(refused)?;
        let (stored, bytes) = found.ok_or_else(|| refused(NotStored::NoKey))?;
        check_read(&stored, input.if_match.as_ref())?;
        let (bytes, content_range) = match input.range {
            None => (bytes, None),
            Some(range) => {
                let range = range.check(stored.size).map_err(|_| s3_error!(InvalidRange))?;
                let shown = format!("bytes {}-{}/{}", range.start, range.end - 1, stored.size);
                let start = usize::try_from(range.start).unwrap_or(usize::MAX);
                let end = usize::try_from(range.end).unwrap_or(usize::MAX);
                (bytes.slice(start..end), Some(shown))
            }
        };
        let content_length = Some(length(bytes.len() as u64));
        let body = in_pieces(bytes, self.shared.trickle());
        Ok(S3Response::new(GetObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            body: Some(StreamingBlob::wrap(body)),
            content_length,
            content_range,
            e_tag: Some(tag(&stored)),
            last_modified: Some(time(stored.modified_ms)),
            metadata: Some(stored.metadata),
            ..Default::default()
        }))
    }

    async fn head_object(
        &self,
        request: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let input = request.input;
        let found = self.objects().find(&input.bucket, &input.key).map_err(refused)?;
        let stored = found.ok_or_else(|| refused(NotStored::NoKey))?;
        check_read(&stored, input.if_match.as_ref())?;
        Ok(S3Response::new(HeadObjectOutput {
            accept_ranges: Some("bytes".to_owned()),
            content_length: Some(length(stored.size)),
            e_tag: Some(tag(&stored)),
            last_modified: Some(time(stored.modified_ms)),
            metadata: Some(stored.metadata),
            ..Default::default()
        }))
    }

    async fn delete_object(
        &self,
        request: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        self.objects().delete(&request.input.bucket, &request.input.key).map_err(refused)?;
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn delete_objects(
        &self,
        request: S3Request<DeleteObjectsInput>,
    ) -> S3Result<S3Response<DeleteObjectsOutput>> {
        let mut deleted = Vec::new();
        for object in request.input.delete.objects {
            self.objects().delete(&request.input.bucket, &object.key).map_err(refused)?;
            deleted.push(DeletedObject { key: Some(object.key), ..Default::default() });
        }
        let deleted = Some(deleted);
        Ok(S3Response::new(DeleteObjectsOutput { deleted, ..Default::default() }))
    }

    async fn list_objects_v2(
        &self,
        request: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let input = request.input;
        let prefix = input.prefix.clone().unwrap_or_default();
        let after = input.continuation_token.clone().or(input.start_after).unwrap_or_default();
        let most = input.max_keys.and_then(|keys| usize::try_from(keys).ok());
        let most = most.unwrap_or(LARGEST_PAGE).min(self.shared.page);
        let mut found =
            self.objects().list(&input.bucket, &prefix, &after, usize::MAX).map_err(refused)?;
        let hidden_ms = u64::try_from(self.shared.list_delay().as_millis()).unwrap_or(u64::MAX);
        let now_ms = clock::now_ms();
        found.retain(|stored| stored.modified_ms.saturating_add(hidden_ms) <= now_ms);
        if let Some(token) = &input.continuation_token
            && self.shared.repeats_listed()
            && let Some(last) = self.objects().find(&input.bucket, token).map_err(refused)?
        {
            found.insert(0, last);
        }
        let page = page(found, &prefix, &after, input.delimiter.as_deref(), most);
        let common = page.common.into_iter();
        let common = common.map(|prefix| CommonPrefix { prefix: Some(prefix) }).collect();
        Ok(S3Response::new(ListObjectsV2Output {
            key_count: i32::try_from(page.objects.len()).ok(),
            max_keys: i32::try_from(most).ok(),
            is_truncated: Some(page.next.is_some()),
            next_continuation_token: page.next,
            contents: Some(page.objects.iter().map(listed).collect()),
            common_prefixes: Some(common),
            continuation_token: input.continuation_token,
            delimiter: input.delimiter,
            name: Some(input.bucket),
            prefix: input.prefix,
            ..Default::default()
        }))
    }

    async fn create_multipart_upload(
        &self,
        request: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let input = request.input;
        if !self.objects().has_bucket(&input.bucket) {
            return Err(refused(NotStored::NoBucket));
        }
        let id = random::unique_name();
        let upload = Upload {
            bucket: input.bucket.clone(),
            key: input.key.clone(),
            metadata: input.metadata.unwrap_or_default(),
            parts: BTreeMap::new(),
        };
        self.shared.uploads.lock().insert(id.clone(), upload);
        Ok(S3Response::new(CreateMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            upload_id: Some(id),
            ..Default::default()
        }))
    }

    async fn upload_part(
        &self,
        request: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let input = request.input;
        let bytes = all(input.body, input.content_length).await?;
        let etag = md5_hex(&bytes);
        let mut uploads = self.shared.uploads.lock();
        let upload = uploads.get_mut(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        upload.parts.insert(input.part_number, (etag.clone(), bytes));
        let e_tag = Some(ETag::Strong(etag));
        Ok(S3Response::new(UploadPartOutput { e_tag, ..Default::default() }))
    }

    async fn complete_multipart_upload(
        &self,
        request: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let input = request.input;
        let condition = self.condition(input.if_match, input.if_none_match)?;
        let asked = input.multipart_upload.and_then(|upload| upload.parts).unwrap_or_default();
        // Held to the end: an upload is completed once.
        let mut uploads = self.shared.uploads.lock();
        let upload = uploads.get(&input.upload_id).ok_or_else(|| s3_error!(NoSuchUpload))?;
        if upload.bucket != input.bucket || upload.key != input.key {
            return Err(s3_error!(NoSuchUpload));
        }
        let parts = chosen(upload, &asked)?;
        let metadata = upload.metadata.clone();
        let stored = self
            .objects()
            .put_parts(&input.bucket, &input.key, &parts, metadata, &condition)
            .map_err(refused)?;
        uploads.remove(&input.upload_id);
        Ok(S3Response::new(CompleteMultipartUploadOutput {
            bucket: Some(input.bucket),
            key: Some(input.key),
            e_tag: Some(tag(&stored)),
            ..Default::default()
        }))
    }

    async fn abort_multipart_upload(
        &self,
        request: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        match self.shared.uploads.lock().remove(&request.input.upload_id) {
            Some(_) => Ok(S3Response::new(AbortMultipartUploadOutput::default())),
            None => Err(s3_error!(NoSuchUpload)),
        }
    }
}

/// The bytes of an answer: at once, or in pieces each of which comes after `pause`.
fn in_pieces(
    bytes: Bytes,
    pause: Duration,
) -> impl futures::Stream<Item = Result<Bytes, std::io::Error>> + Send + Sync + 'static {
    let piece = if pause.is_zero() { bytes.len().max(1) } else { TRICKLE_PIECE };
    futures::stream::unfold(bytes, move |mut left| async move {
        if left.is_empty() {
            return None;
        }
        if !pause.is_zero() {
            clock::sleep(pause).await;
        }
        let piece = left.split_to(piece.min(left.len()));
        Some((Ok(piece), left))
    })
}

fn check_read(stored: &Stored, if_match: Option<&IfMatch>) -> S3Result<()> {
    match if_match.and_then(ETagCondition::as_etag) {
        Some(want) if want.value() != stored.etag => Err(refused(NotStored::Condition)),
        _ => Ok(()),
    }
}

/// The parts that a completion names, in its order; refuses what S3 refuses.
fn chosen(upload: &Upload, asked: &[CompletedPart]) -> S3Result<Vec<(String, Bytes)>> {
    if asked.is_empty() {
        return Err(s3_error!(MalformedXML, "no parts"));
    }
    let mut parts = Vec::with_capacity(asked.len());
    let mut last = 0;
    for (index, part) in asked.iter().enumerate() {
        let number = part.part_number.unwrap_or_default();
        if number <= last {
            return Err(s3_error!(InvalidPartOrder));
        }
        last = number;
        let (etag, bytes) = upload.parts.get(&number).ok_or_else(|| s3_error!(InvalidPart))?;
        if part.e_tag.as_ref().is_some_and(|asked| asked.value() != etag) {
            return Err(s3_error!(InvalidPart));
        }
        if bytes.len() < SMALLEST_PART && index + 1 < asked.len() {
            return Err(s3_error!(EntityTooSmall));
        }
        parts.push((etag.clone(), bytes.clone()));
    }
    Ok(parts)
}

/// One page of a list.
struct Page {
    objects: Vec<Stored>,
    common: Vec<String>,
    /// Where the next page begins, if there is one.
    next: Option<String>,
}

fn page(
    found: Vec<Stored>,
    prefix: &str,
    after: &str,
    delimiter: Option<&str>,
    most: usize,
) -> Page {
    let mut page = Page { objects: Vec::new(), common: Vec::new(), next: None };
    let mut last = String::new();
    for stored in found {
        let rest = stored.key.get(prefix.len()..).unwrap_or_default();
        let group = delimiter.filter(|delimiter| !delimiter.is_empty()).and_then(|delimiter| {
            let end = rest.find(delimiter)? + delimiter.len();
            Some(format!("{prefix}{}", rest.get(..end)?))
        });
        let seen = |group: &String| page.common.last() == Some(group) || after.starts_with(group);
        if group.as_ref().is_some_and(seen) {
            last = stored.key;
            continue;
        }
        if page.objects.len() + page.common.len() == most {
            page.next = Some(last);
            break;
        }
        last.clone_from(&stored.key);
        match group {
            Some(group) => page.common.push(group),
            None => page.objects.push(stored),
        }
    }
    page
}

fn listed(stored: &Stored) -> Object {
    Object {
        key: Some(stored.key.clone()),
        e_tag: Some(tag(stored)),
        last_modified: Some(time(stored.modified_ms)),
        size: Some(length(stored.size)),
        ..Default::default()
    }
}
