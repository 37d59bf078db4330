use super::*;

fn list(text: &str) -> Vec<String> {
    words(text).into_iter().map(|word| word.text).collect()
}

fn found(hay: &str, sought: &str) -> bool {
    !mentions(&words(hay), &needle(sought)).is_empty()
}

#[test]
fn words_are_folded() {
    let cases: [(&str, &[&str]); 13] = [
        ("The Pacific-Ocean!", &["the", "pacific", "ocean"]),
        ("H₂O，ＣＯ２", &["h2o", "co2"]),
        ("Carl von Linné", &["carl", "von", "linne"]),
        ("答案是8条", &["答", "案", "是", "8", "条"]),
        ("1,024 and 1,2", &["1024", "and", "1", "2"]),
        ("-8, 10 - 8, A-0", &["-8", "10", "8", "a", "0"]),
        ("8.50 8.0 .", &["8.5", "8"]),
        ("1939-1945, 1945-09-02", &["1939-1945", "1945", "09-02"]),
        ("100°C 100C", &["100", "c", "100c"]),
        ("乔治·华盛顿", &["乔", "治", "华", "盛", "顿"]),
        ("Newton's", &["newton", "s"]),
        ("①１２", &["112"]),
        ("。", &[]),
    ];
    for (text, expected) in cases {
        assert_eq!(list(text), expected, "{text}");
    }
}

#[test]
fn whole_words_are_found() {
    let yes = [
        ("It is Paris.", "Paris"),
        ("the  PACIFIC ocean", "The Pacific Ocean"),
        ("both apple and orange", "both an apple and an orange"),
        ("orange", "an orange"),
        ("乔治 华盛顿", "乔治·华盛顿"),
        ("J.K. Rowling", "J. K. Rowling"),
        ("答案：鼠。", "鼠"),
        ("答案是鼠", "鼠"),
        ("spiders have eight legs", "eight"),
        ("a hundred", "a hundred"),
        ("有八条腿", "八条"),
    ];
    for (hay, sought) in yes {
        assert!(found(hay, sought), "{sought} in {hay}");
    }
    let no = [
        ("18 legs", "8"),
        ("8.5", "8"),
        ("-8", "8"),
        ("8,500", "8"),
        ("8 hundred", "8"),
        ("8万", "8"),
        ("twenty-eight", "eight"),
        ("one hundred and eight", "eight"),
        ("one hundred and eighty", "one hundred"),
        ("eight point five", "eight"),
        ("two hundred", "a hundred"),
        ("十八条腿", "八条"),
        ("二十二", "十二"),
        ("十二万", "十二"),
        ("1939–1945", "1945"),
        ("松鼠", "鼠"),
        ("鼠标", "鼠"),
        ("vitamin C", "vitamin A"),
        ("Parisian", "Paris"),
        ("发展经济。南方", "济南"),
        ("New. York", "New York"),
        ("", "Paris"),
    ];
    for (hay, sought) in no {
        assert!(!found(hay, sought), "{sought} in {hay}");
    }
}

#[test]
fn denials_are_seen() {
    let cases = [
        ("It is not Paris", "Paris", true),
        ("It isn't Paris", "Paris", true),
        ("It is definitely not in Paris", "Paris", true),
        ("not London but Paris", "Paris", false),
        ("No, Paris", "Paris", false),
        ("what is not in Asia is Paris", "Paris", false),
        ("Not London, Paris", "Paris", false),
        ("Paris is not the capital", "Paris", true),
        ("Paris isn’t it", "Paris", true),
        ("Paris is wrong", "Paris", true),
        ("Paris is the capital", "Paris", false),
        ("不是巴黎", "巴黎", true),
        ("不是伦敦而是巴黎", "巴黎", false),
        ("不是伦敦，是巴黎", "巴黎", false),
        ("巴黎不是首都", "巴黎", true),
        ("肯尼亚在非洲", "非洲", false),
    ];
    for (hay, sought, expected) in cases {
        let hay = words(hay);
        let found = mentions(&hay, &needle(sought));
        assert_eq!(negated(&hay, &found[0], false), expected, "{sought} in {hay:?}");
    }
}

#[test]
fn the_opening_is_the_first_sentence_or_line() {
    let cases = [
        ("Paris. London is in England.", "Paris", false),
        ("\n\n**Paris**\nmore", "**Paris**", false),
        ("The answer is:\n\nParis\nmore", "The answer is: Paris", false),
        ("J. K. Rowling wrote it. She", "J. K. Rowling wrote it", false),
        ("Mt. Everest", "Mt. Everest", false),
        ("8.5 legs. No", "8.5 legs", false),
        ("巴黎。里昂", "巴黎", false),
        ("1. Paris\n2. Lyon", "1", true),
        ("- Paris\n- Lyon", "- Paris", true),
        ("8. Spiders have eight", "8", false),
        ("...", "", false),
    ];
    for (text, expected, listed) in cases {
        assert_eq!(opening(text), (expected.to_owned(), listed), "{text}");
    }
}
