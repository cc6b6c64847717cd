//! The pictures on the pages. They stand in the pages themselves: the content security policy
//! loads no image.

macro_rules! svg {
    ($size:literal, $drawing:literal) => {
        concat!(
            r#"<svg width=""#, $size, r#"" height=""#, $size,
            r#"" viewBox="0 0 24 24" fill="none" stroke="currentColor" stroke-width="1.75" stroke-linecap="round" stroke-linejoin="round" aria-hidden="true">"#,
            $drawing, "</svg>"
        )
    };
}

/// The picture of this name.
pub(super) fn svg(name: &str) -> &'static str {
    match name {
        "back" => svg!("14", r#"<path d="M15 5l-7 7 7 7"/>"#),
        "check" => svg!("18", r#"<path d="M5 12.5l4.5 4.5L19 7.5"/>"#),
        "copy" => svg!(
            "16",
            r#"<rect x="9" y="9" width="11" height="11" rx="2"/><path d="M5 15V6a2 2 0 012-2h8"/>"#
        ),
        "download" => svg!("16", r#"<path d="M12 4v11m0 0l-4.5-4.5M12 15l4.5-4.5M5 20h14"/>"#),
        "key" => svg!(
            "20",
            r#"<circle cx="8" cy="15" r="4.25"/><path d="M11 12l8.5-8.5M16 7l3 3M13.5 9.5l2 2"/>"#
        ),
        "key-big" => svg!(
            "40",
            r#"<circle cx="8" cy="15" r="4.25"/><path d="M11 12l8.5-8.5M16 7l3 3M13.5 9.5l2 2"/>"#
        ),
        "pause" => svg!("16", r#"<path d="M9 6v12M15 6v12"/>"#),
        "play" => svg!("16", r#"<path d="M8 5.5v13l10-6.5z"/>"#),
        "plus" => svg!("16", r#"<path d="M12 5v14M5 12h14"/>"#),
        "rotate" => svg!("16", r#"<path d="M20 12a8 8 0 11-2.5-5.8M20 4v5h-5"/>"#),
        "search-big" => {
            svg!("40", r#"<circle cx="11" cy="11" r="6.5"/><path d="M16 16l4.5 4.5"/>"#)
        }
        "trash" => svg!(
            "16",
            r#"<path d="M4.5 7h15M10 7V4.5h4V7M6.5 7l1 13h9l1-13M10 11v5.5M14 11v5.5"/>"#
        ),
        "warn" => svg!("18", r#"<path d="M12 4.5L2.8 20h18.4zM12 10.5v4M12 17.3v.2"/>"#),
        _ => "",
    }
}
