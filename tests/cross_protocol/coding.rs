//! Compression as clients do it, piece by piece.

use std::io::Write;

use transom::protocol::compression::{Allowance, Coding, Decoder};

/// Packs what is written, so that all of it can be read after each piece.
pub enum Packer {
    Plain,
    Gzip(flate2::write::GzEncoder<Vec<u8>>),
    Br(Box<brotli::CompressorWriter<Vec<u8>>>),
    Zstd(zstd::stream::write::Encoder<'static, Vec<u8>>),
}

impl Packer {
    pub fn new(coding: Option<Coding>) -> Self {
        match coding {
            None => Self::Plain,
            Some(Coding::Gzip) => {
                Self::Gzip(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()))
            }
            Some(Coding::Br) => Self::Br(Box::new(brotli::CompressorWriter::new(Vec::new(), 4096, 1, 20))),
            Some(Coding::Zstd) => {
                Self::Zstd(zstd::stream::write::Encoder::new(Vec::new(), 1).expect("there is memory"))
            }
        }
    }

    /// What is to be sent for this piece.
    pub fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        let write = |to: &mut dyn Write| to.write_all(piece).and_then(|()| to.flush()).expect("it is packed");
        match self {
            Self::Plain => piece.to_vec(),
            Self::Gzip(packer) => {
                write(packer);
                std::mem::take(packer.get_mut())
            }
            Self::Br(packer) => {
                write(packer);
                std::mem::take(packer.get_mut())
            }
            Self::Zstd(packer) => {
                write(packer);
                std::mem::take(packer.get_mut())
            }
        }
    }

    /// What ends it.
    pub fn end(self) -> Vec<u8> {
        match self {
            Self::Plain => Vec::new(),
            Self::Gzip(packer) => packer.finish().expect("it is packed"),
            Self::Br(packer) => packer.into_inner(),
            Self::Zstd(packer) => packer.finish().expect("it is packed"),
        }
    }
}

/// All of `data`, packed.
pub fn pack(coding: Option<Coding>, data: &[u8]) -> Vec<u8> {
    let mut packer = Packer::new(coding);
    let mut packed = packer.piece(data);
    packed.extend(packer.end());
    packed
}

/// Unpacks as much as can be read of what has come.
pub enum Unpacker {
    Plain,
    Gzip(Box<flate2::write::GzDecoder<Vec<u8>>>),
    /// The crate's own writer holds back what could be read already.
    Br(Box<Decoder>),
    Zstd(zstd::stream::write::Decoder<'static, Vec<u8>>),
}

impl Unpacker {
    pub fn new(coding: Option<Coding>) -> Self {
        match coding {
            None => Self::Plain,
            Some(Coding::Gzip) => Self::Gzip(Box::new(flate2::write::GzDecoder::new(Vec::new()))),
            Some(Coding::Br) => {
                let decoder = Decoder::new(Coding::Br, Allowance::Whole(usize::MAX));
                Self::Br(Box::new(decoder.expect("there is memory")))
            }
            Some(Coding::Zstd) => {
                Self::Zstd(zstd::stream::write::Decoder::new(Vec::new()).expect("there is memory"))
            }
        }
    }

    pub fn piece(&mut self, piece: &[u8]) -> Vec<u8> {
        let write =
            |to: &mut dyn Write| to.write_all(piece).and_then(|()| to.flush()).expect("it is readable");
        match self {
            Self::Plain => piece.to_vec(),
            Self::Gzip(unpacker) => {
                write(unpacker);
                std::mem::take(unpacker.get_mut())
            }
            Self::Br(unpacker) => {
                let mut data = Vec::new();
                unpacker.push(piece.to_vec().into());
                while let Some(block) = unpacker.pull().expect("it is readable") {
                    data.extend(block);
                }
                data
            }
            Self::Zstd(unpacker) => {
                write(unpacker);
                std::mem::take(unpacker.get_mut())
            }
        }
    }
}

/// The coding of this name.
pub fn named(name: &str) -> Option<Coding> {
    (name != "identity")
        .then(|| Coding::ALL.into_iter().find(|coding| coding.name() == name).expect("a coding"))
}
