//! SVG to PNG, for Markdown viewers that show no SVG. The font is embedded: the same picture on every machine.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use resvg::tiny_skia::{Pixmap, Transform};
use resvg::usvg::{Options, Tree, fontdb};

/// Largest width or height of a picture, in pixels.
const LARGEST: f32 = 16_384.0;

/// Draws SVG text as a PNG, `scale` pixels a unit; 2 stays sharp on dense screens.
pub fn png(svg: &str, scale: f32) -> Result<Vec<u8>> {
    let mut fonts = fontdb::Database::new();
    fonts.load_font_data(epaint_default_fonts::UBUNTU_LIGHT.to_vec());
    let family = fonts.faces().next().and_then(|face| face.families.first()).map(|(name, _)| name.clone());
    fonts.set_sans_serif_family(family.context("the embedded font has no family name")?);
    let options = Options { fontdb: Arc::new(fonts), font_family: "sans-serif".to_owned(), ..Options::default() };
    let tree = Tree::from_str(svg, &options).context("failed to parse the figure's SVG")?;
    let (width, height) = ((tree.size().width() * scale).ceil(), (tree.size().height() * scale).ceil());
    ensure!(
        width >= 1.0 && height >= 1.0 && width <= LARGEST && height <= LARGEST,
        "a picture of {width} x {height} pixels cannot be drawn: the scale {scale} does not fit"
    );
    let mut picture = Pixmap::new(width as u32, height as u32).context("failed to allocate the picture")?;
    resvg::render(&tree, Transform::from_scale(scale, scale), &mut picture.as_mut());
    picture.encode_png().context("failed to encode the picture")
}

#[cfg(test)]
mod tests {
    use super::*;

    const SVG: &str = concat!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" width="40" height="20" viewBox="0 0 40 20">"#,
        r#"<text x="2" y="16" font-family="Ubuntu, sans-serif" font-size="16">ink</text></svg>"#
    );

    #[test]
    fn a_png_has_the_scaled_size() -> Result<()> {
        let png = png(SVG, 2.0)?;
        assert_eq!(&png[..8], b"\x89PNG\r\n\x1a\n");
        assert_eq!(&png[16..24], &[0, 0, 0, 80, 0, 0, 0, 40]);
        Ok(())
    }

    #[test]
    fn text_is_drawn_with_the_embedded_font() -> Result<()> {
        let blank = SVG.replace(">ink<", "><");
        assert_ne!(png(SVG, 1.0)?, png(&blank, 1.0)?);
        assert_eq!(png(SVG, 1.0)?, png(SVG, 1.0)?);
        Ok(())
    }

    #[test]
    fn what_cannot_be_drawn_is_an_error() {
        assert!(png("no svg", 1.0).is_err());
        assert!(png(SVG, 0.0).is_err());
        assert!(png(SVG, f32::NAN).is_err());
        assert!(png(SVG, 1e6).is_err());
    }
}
