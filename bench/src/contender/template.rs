//! Configuration files with places to fill in.

use anyhow::{Result, bail};

/// Replaces each `{NAME}` of `template` by its value.
pub(super) fn fill(template: &str, values: &[(&str, &str)]) -> Result<String> {
    let mut text = template.to_owned();
    for (name, value) in values {
        text = text.replace(&format!("{{{name}}}"), value);
    }
    let open = |(at, _): &(usize, &str)| text[at + 1..].starts_with(|c: char| c.is_ascii_uppercase());
    if let Some((at, _)) = text.match_indices('{').find(open) {
        bail!("nothing to fill in at {:?}", text[at..].lines().next().unwrap_or_default());
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_place_is_filled() {
        assert_eq!(fill("{A} {B} {a}", &[("A", "1"), ("B", "2")]).unwrap(), "1 2 {a}");
        let error = fill("a {A}\nb {MORE} c\n", &[("A", "1")]).unwrap_err();
        assert_eq!(error.to_string(), "nothing to fill in at \"{MORE} c\"");
    }
}
