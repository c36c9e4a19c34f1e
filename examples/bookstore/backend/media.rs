//! What is not JSON: covers, samples and leaflets, each with its media type.

use super::api::bookstore::v1::{Book, Chapter};
use super::api::google::api::HttpBody;
use super::names::BookName;
use super::refusal::{Refusal, Resource};
use super::store::Store;
use super::validation::invalid;

/// The largest cover, in bytes.
const MAX_COVER: usize = 1 << 20;

/// The largest sample, in bytes over all chunks.
pub const MAX_SAMPLE: usize = 4 << 20;

/// The leaflets by path below `leaflets/`: media type and text.
const LEAFLETS: [(&str, &str, &str); 3] = [
    ("opening-hours.txt", "text/plain; charset=utf-8", "Tuesday to Saturday, ten to six.\n"),
    (
        "events/2026/spring/readings.html",
        "text/html; charset=utf-8",
        "<!doctype html><title>Readings</title><p>Middlemarch, one book a month.</p>\n",
    ),
    (
        "events/2026/spring/readings.csv",
        "text/csv; charset=utf-8",
        "month,book\nMarch,Middlemarch I\nApril,Middlemarch II\n",
    ),
];

impl Store {
    pub fn cover(&self, name: &BookName) -> Result<HttpBody, Refusal> {
        let cover = self.lock().record(name)?.cover.clone();
        cover.ok_or_else(|| Refusal::Missing(Resource::Cover, format!("{name}/cover")))
    }

    pub fn set_cover(&self, name: &BookName, image: HttpBody) -> Result<Book, Refusal> {
        if !image.content_type.starts_with("image/") {
            let told = "the media type of a cover is image/…";
            return Err(invalid("image.content_type", "NOT_AN_IMAGE", told));
        }
        if image.data.is_empty() || image.data.len() > MAX_COVER {
            let told = "from one byte to 1 MiB";
            return Err(invalid("image.data", "OUT_OF_RANGE", told));
        }
        self.edit(name, |_, record| {
            record.book.cover_fingerprint = fingerprint(&image.data);
            record.cover = Some(image);
            Ok(())
        })
    }

    /// The sample as it was stored, chunk by chunk; the table of contents where none was.
    pub fn sample(&self, name: &BookName) -> Result<Vec<HttpBody>, Refusal> {
        let state = self.lock();
        let record = state.record(name)?;
        if !record.sample.is_empty() {
            return Ok(record.sample.clone());
        }
        let book = record.read()?;
        if book.chapters.is_empty() {
            return Err(Refusal::Missing(Resource::Sample, format!("{name}/sample")));
        }
        Ok(contents(&book))
    }

    pub fn set_sample(&self, name: &BookName, chunks: Vec<HttpBody>) -> Result<(), Refusal> {
        let kept = self.edit(name, |_, record| {
            record.sample = chunks;
            Ok(())
        });
        kept.map(drop)
    }
}

/// A leaflet by its path below `leaflets/`.
pub fn leaflet(name: &str) -> Result<HttpBody, Refusal> {
    let path = name.strip_prefix("leaflets/").unwrap_or_default();
    let found = LEAFLETS.iter().find(|(key, _, _)| *key == path);
    let (_, content_type, text) =
        found.ok_or_else(|| Refusal::Missing(Resource::Leaflet, name.to_owned()))?;
    Ok(body(content_type, text))
}

/// A text with its media type.
pub fn body(content_type: &str, text: &str) -> HttpBody {
    HttpBody { content_type: content_type.to_owned(), data: text.as_bytes().to_vec(), extensions: Vec::new() }
}

/// FNV-1a in 64 bits, big-endian: tells covers apart, and protects nothing.
pub fn fingerprint(data: &[u8]) -> Vec<u8> {
    let hash = data.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.to_be_bytes().to_vec()
}

fn contents(book: &Book) -> Vec<HttpBody> {
    let plain = "text/plain; charset=utf-8";
    let title = body(plain, &format!("{}\n\n", book.title));
    let line = |(number, chapter): (&i32, &Chapter)| {
        let text = format!("{number:>4}  {} … {}\n", chapter.title, chapter.first_page);
        body(plain, &text)
    };
    std::iter::once(title).chain(book.chapters.iter().map(line)).collect()
}
