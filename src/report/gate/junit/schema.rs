//! As much of XML Schema as `tests/junit/junit-10.xsd` uses, so that every file the gate writes is validated in a plain
//! `cargo test`. What it does not know it refuses, so a schema that says more cannot be half checked.

use std::collections::BTreeMap;

use resvg::usvg::roxmltree::{Document, Node};

const XSD: &str = include_str!("../../../../tests/junit/junit-10.xsd");

/// Checks a document; the error names the element.
pub(super) fn validate(xml: &str) -> Result<(), String> {
    let schema = Document::parse(XSD).expect("the schema is XML");
    let document = Document::parse(xml).map_err(|error| error.to_string())?;
    let schema = Schema::of(&schema);
    schema.element(document.root_element())
}

struct Schema<'a> {
    elements: BTreeMap<&'a str, Node<'a, 'a>>,
    types: BTreeMap<&'a str, Node<'a, 'a>>,
}

impl<'a> Schema<'a> {
    fn of(document: &'a Document<'a>) -> Self {
        let named = |tags: &'static [&'static str]| {
            let children = document.root_element().children().filter(move |node| tags.contains(&tag(*node)));
            children.map(|node| (node.attribute("name").expect("a name"), node)).collect()
        };
        Self { elements: named(&["element"]), types: named(&["simpleType", "complexType"]) }
    }

    fn element(&self, node: Node) -> Result<(), String> {
        let name = tag(node);
        let declared = self.elements.get(name).ok_or_else(|| format!("<{name}> is not in the schema"))?;
        let inline = declared.children().find(|node| tag(*node) == "complexType");
        match (inline, declared.attribute("type")) {
            (Some(kind), _) => self.complex(node, kind),
            (None, Some("xs:string")) if node.children().any(|child| child.is_element()) || node.attributes().len() > 0 => {
                Err(format!("<{name}> may hold nothing but text"))
            }
            (None, Some("xs:string")) => Ok(()),
            (None, Some(kind)) => self.complex(node, self.types[kind]),
            (None, None) => panic!("<{name}> has no type"),
        }
    }

    fn complex(&self, node: Node, kind: Node<'a, 'a>) -> Result<(), String> {
        let name = tag(node);
        let declared: BTreeMap<&str, Node> =
            kind.children().filter(|node| tag(*node) == "attribute").map(|node| (node.attribute("name").expect("a name"), node)).collect();
        for (attribute, declared) in &declared {
            match node.attribute(*attribute) {
                None if declared.attribute("use") == Some("required") => return Err(format!("<{name}> needs {attribute}")),
                Some(value) if !self.text(value, declared.attribute("type").expect("a type")) => {
                    return Err(format!("<{name}> has {attribute}=\"{value}\""));
                }
                _ => {}
            }
        }
        if let Some(attribute) = node.attributes().find(|attribute| !declared.contains_key(attribute.name())) {
            return Err(format!("<{name}> may not have {}", attribute.name()));
        }
        let says_something = |node: &Node| node.is_text() && node.text().is_some_and(|text| !text.trim().is_empty());
        if kind.attribute("mixed") != Some("true") && node.children().any(|child| says_something(&child)) {
            return Err(format!("<{name}> may not hold text"));
        }
        let children: Vec<Node> = node.children().filter(Node::is_element).collect();
        let names: Vec<&str> = children.iter().map(|child| tag(*child)).collect();
        let ends = match kind.children().find(|node| ["sequence", "choice"].contains(&tag(*node))) {
            Some(model) => ends(model, &names, 0),
            None => vec![0],
        };
        if !ends.contains(&names.len()) {
            return Err(format!("<{name}> may not hold {names:?}"));
        }
        children.into_iter().try_for_each(|child| self.element(child))
    }

    fn text(&self, value: &str, kind: &str) -> bool {
        if kind == "xs:string" {
            return true;
        }
        let pattern = self.types[kind].descendants().find(|node| tag(*node) == "pattern").and_then(|node| node.attribute("value"));
        assert_eq!(pattern, Some(r"(([0-9]{0,3},)*[0-9]{3}|[0-9]{0,3})*(\.[0-9]{0,3})?"), "a pattern that is not known here");
        let (whole, part) = value.split_once('.').unwrap_or((value, ""));
        // Groups of up to three digits in any number are any digits; a comma is written nowhere here.
        whole.bytes().all(|byte| byte.is_ascii_digit()) && part.len() <= 3 && part.bytes().all(|byte| byte.is_ascii_digit())
    }
}

/// Where a content model that begins at `start` of these child names may end.
fn ends(model: Node, names: &[&str], start: usize) -> Vec<usize> {
    let most =
        model.attribute("maxOccurs").map_or(1, |most| if most == "unbounded" { usize::MAX } else { most.parse().expect("a number") });
    let least: usize = model.attribute("minOccurs").map_or(1, |least| least.parse().expect("a number"));
    let mut found = if least == 0 { vec![start] } else { Vec::new() };
    let mut here = vec![start];
    for round in 1.. {
        let mut next: Vec<usize> = here.iter().flat_map(|at| once(model, names, *at)).collect();
        next.sort_unstable();
        next.dedup();
        if round >= least {
            next.retain(|end| !found.contains(end));
            found.extend(&next);
        }
        if round >= most || next.is_empty() {
            break;
        }
        here = next;
    }
    found
}

fn once(model: Node, names: &[&str], start: usize) -> Vec<usize> {
    let parts: Vec<Node> = model.children().filter(Node::is_element).collect();
    match tag(model) {
        "sequence" => parts.iter().fold(vec![start], |at, part| at.iter().flat_map(|at| ends(*part, names, *at)).collect()),
        "choice" => parts.iter().flat_map(|part| ends(*part, names, start)).collect(),
        "element" => {
            let name = model.attribute("ref").or(model.attribute("name"));
            if names.get(start).copied() == name { vec![start + 1] } else { Vec::new() }
        }
        other => panic!("<xs:{other}> is not known here"),
    }
}

fn tag<'a>(node: Node<'a, '_>) -> &'a str {
    node.tag_name().name()
}

#[test]
fn the_schema_refuses_what_it_should() {
    let suite = |inside: &str| {
        format!("<testsuites><testsuite name='a' tests='1' failures='0' errors='0' time='0'>{inside}</testsuite></testsuites>")
    };
    assert_eq!(validate(&suite("<properties/><testcase name='a'><system-out>x</system-out><skipped message='m'/></testcase>")), Ok(()));
    assert_eq!(validate(&suite("<properties><property name='a' value='b'/></properties>")), Ok(()));
    for (xml, why) in [
        (suite("<testcase/>"), "<testcase> needs name"),
        (suite("<testcase name='a' colour='b'/>"), "may not have colour"),
        (suite("<failure/>"), "may not hold [\"failure\"]"),
        (suite("<testcase name='a'>text</testcase>"), "may not hold text"),
        (suite("<testcase name='a'><system-out><b/></system-out></testcase>"), "nothing but text"),
        (suite("").replace("time='0'", "time='soon'"), "time=\"soon\""),
        (suite("").replace(" errors='0'", ""), "<testsuite> needs errors"),
        ("<tests/>".to_owned(), "not in the schema"),
        ("<testsuites><testcase name='a'/></testsuites>".to_owned(), "may not hold"),
        ("<testsuites>".to_owned(), ""),
    ] {
        assert!(validate(&xml).unwrap_err().contains(why), "{xml}: {:?}", validate(&xml));
    }
}
