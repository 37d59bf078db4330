//! A base model: its shape, frozen weights, tokenizer and chat template; and the adapters that change it.

pub mod adapter;
pub mod adapter_set;
pub mod base;
pub mod cache;
pub mod catalogue;
pub mod decoder;
pub mod device;
pub mod family;
pub mod fetch;
pub mod gguf;
pub mod layout;
pub mod lora;
pub mod ops;
pub mod packed;
pub mod site;
pub mod spec;
pub mod template;
pub mod tokenizer;
pub mod weights;
