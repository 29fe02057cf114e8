#![no_main]
libfuzzer_sys::fuzz_target!(|data: &[u8]| {
    if let Some((choice, text)) = data.split_first()
        && let Ok(document) = serde_json::from_slice(text)
    {
        isthmus::fuzzing::json(*choice, document);
    }
});
