//! Packing, with flushes, so that what was said so far can be read so far.

use std::io::{self, Write};

use brotli::CompressorWriter;
use brotli::enc::BrotliEncoderParams;
use flate2::Compression as GzipLevel;
use flate2::write::GzEncoder;
use zstd::stream::raw::CParameter;
use zstd::stream::write::Encoder as ZstdWriter;

use super::coding::Coding;
use super::error::PackError;
use super::settings::Level;

/// Packs a stream of data of unknown length.
///
/// What it has to remember is bounded by windows that are smaller than the codings allow, since there is one for each open
/// stream.
pub struct Encoder(Writer);

enum Writer {
    Gzip(GzEncoder<Vec<u8>>),
    Br(Box<CompressorWriter<Vec<u8>>>),
    Zstd(ZstdWriter<'static, Vec<u8>>),
}

/// 128 KiB. Larger ones pack long answers some percent better, and cost a stream hundreds of KiB more.
const BR_WINDOW_LOG: i32 = 17;
/// 128 KiB.
const ZSTD_WINDOW_LOG: u32 = 17;
/// 32768 entries of four bytes.
const ZSTD_STREAM_TABLE_LOG: u32 = 15;
/// What stands between an encoder and its output.
const BR_BUFFER: usize = 4 << 10;

impl Encoder {
    /// For data of any length.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn new(coding: Coding, level: Level) -> Result<Self, PackError> {
        Self::build(coding, level, None).map_err(PackError)
    }

    /// For so many bytes, which saves memory where they are few.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn for_size(coding: Coding, level: Level, size: usize) -> Result<Self, PackError> {
        Self::build(coding, level, Some(size)).map_err(PackError)
    }

    fn build(coding: Coding, level: Level, size: Option<usize>) -> io::Result<Self> {
        Ok(Self(match coding {
            Coding::Gzip => Writer::Gzip(GzEncoder::new(Vec::new(), GzipLevel::new(level.of_gzip()))),
            Coding::Br => {
                let params = BrotliEncoderParams {
                    quality: level.of_br(),
                    lgwin: BR_WINDOW_LOG,
                    size_hint: size.unwrap_or(0),
                    ..BrotliEncoderParams::default()
                };
                Writer::Br(Box::new(CompressorWriter::with_params(Vec::new(), BR_BUFFER, &params)))
            }
            Coding::Zstd => {
                let mut writer = ZstdWriter::new(Vec::new(), level.of_zstd())?;
                writer.set_parameter(CParameter::WindowLog(ZSTD_WINDOW_LOG))?;
                writer.set_pledged_src_size(size.map(|size| size as u64))?;
                if size.is_none() {
                    // Nobody knows how long a stream stays open: its tables are smaller than the level has them.
                    writer.set_parameter(CParameter::HashLog(ZSTD_STREAM_TABLE_LOG))?;
                    writer.set_parameter(CParameter::ChainLog(ZSTD_STREAM_TABLE_LOG))?;
                }
                Writer::Zstd(writer)
            }
        }))
    }

    /// Adds data. Some of it may stay inside until the next flush.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn write(&mut self, data: &[u8]) -> Result<(), PackError> {
        match &mut self.0 {
            Writer::Gzip(writer) => writer.write_all(data),
            Writer::Br(writer) => writer.write_all(data),
            Writer::Zstd(writer) => writer.write_all(data),
        }
        .map_err(PackError)
    }

    /// Makes all that was written come out.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn flush(&mut self) -> Result<(), PackError> {
        match &mut self.0 {
            Writer::Gzip(writer) => writer.flush(),
            Writer::Br(writer) => writer.flush(),
            Writer::Zstd(writer) => writer.flush(),
        }
        .map_err(PackError)
    }

    /// How many bytes there are to be taken.
    #[must_use]
    pub fn ready(&self) -> usize {
        match &self.0 {
            Writer::Gzip(writer) => writer.get_ref().len(),
            Writer::Br(writer) => writer.get_ref().len(),
            Writer::Zstd(writer) => writer.get_ref().len(),
        }
    }

    /// Takes what has come out so far.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(match &mut self.0 {
            Writer::Gzip(writer) => writer.get_mut(),
            Writer::Br(writer) => writer.get_mut(),
            Writer::Zstd(writer) => writer.get_mut(),
        })
    }

    /// Ends the data, and gives what has not been taken.
    ///
    /// # Errors
    /// There is no memory for it.
    pub fn finish(self) -> Result<Vec<u8>, PackError> {
        match self.0 {
            Writer::Gzip(writer) => writer.finish(),
            Writer::Br(writer) => Ok(writer.into_inner()),
            Writer::Zstd(writer) => writer.finish(),
        }
        .map_err(PackError)
    }
}
