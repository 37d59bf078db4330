use super::*;

/// S strict, C correct, L lenient only, W wrong, U unparsed
const CASES: &[(&str, &str, char)] = &[
    ("25", "25", 'S'),
    ("25", "25.", 'S'),
    ("25", " **25** \n", 'S'),
    ("25", "２５", 'S'),
    ("25", "The answer is 25.", 'S'),
    ("25", "Answer: 25", 'S'),
    ("25", "答案是25。", 'S'),
    ("25", "答案：25个苹果", 'S'),
    ("25", "25 dollars", 'S'),
    ("25", "$25.00", 'S'),
    ("25", "¥25", 'S'),
    ("25", "25元。", 'S'),
    ("25", "25%", 'S'),
    ("0.25", "25%", 'S'),
    ("25%", "0.25", 'S'),
    ("25%", "0.25%", 'W'),
    ("25", "百分之25", 'S'),
    ("25", "\\boxed{25}", 'S'),
    ("1024", "1,024", 'S'),
    ("1,024", "1024", 'S'),
    ("1234567", "1,234,567", 'S'),
    ("-5", "-5", 'S'),
    ("-5", "−5", 'S'),
    ("5", "-5", 'W'),
    ("1/2", "0.5", 'S'),
    ("0.5", "½", 'S'),
    ("1.5", "1½", 'S'),
    ("1.5", "1 1/2", 'S'),
    ("0.75", "\\frac{3}{4}", 'S'),
    ("0.5", ".5", 'S'),
    ("20000", "2万", 'S'),
    ("3000000", "3 million", 'S'),
    ("5", "25", 'W'),
    ("5", "5.5", 'W'),
    ("5", "15", 'W'),
    ("5", "50", 'W'),
    ("5", "1/5", 'W'),
    ("25", "2.5", 'W'),
    ("8", "18", 'W'),
    ("12", "5 + 7 = 12", 'C'),
    ("12", "5加7等于12。", 'C'),
    ("12", "First 5, then 7, so in total 12 apples.", 'C'),
    ("12", "The answer is 12, because 5 + 7 is not 13.", 'C'),
    ("12", "答案是12，因为5加7，不是13。", 'C'),
    ("9", "The answer is 12 - 3 = 9, which we checked in step 4.", 'C'),
    ("6", "The answer is 5. No, the answer is 6.", 'C'),
    ("5", "The answer is 5. No, the answer is 6.", 'L'),
    ("6", "The answer is not 5 but 6.", 'C'),
    ("25", "It is not 25.", 'W'),
    ("25", "25 is wrong.", 'W'),
    ("25", "不是25", 'W'),
    ("25", "#### 25", 'S'),
    ("25", "20 + 5\n#### 25", 'C'),
    ("12", "5 + 7 = 12 (with 5 apples and 7 pears)", 'C'),
    ("12", "5 + 7 = 12, with 5 apples and 7 pears", 'L'),
    ("150", "150 minutes (2 hours and 30 minutes)", 'C'),
    ("16", "24 × (2/3) = (16)", 'L'),
    ("25", "25. This is 5 times 5.", 'L'),
    ("150", "From 9:00 to 11:30 it takes 150 minutes.", 'C'),
    ("30", "11:30", 'W'),
    ("3", "2-3", 'W'),
    ("2", "10^2", 'W'),
    ("100", "10^2 = 100", 'C'),
    ("2", "H2O", 'U'),
    ("25", "twenty-five", 'U'),
    ("25", "", 'U'),
    ("25", "I do not know.", 'U'),
    ("25", "99999999999999999999999999999999999999999999999", 'W'),
    ("25", "25 25", 'C'),
    ("4", "答案是4只兔子和6只鸡。", 'C'),
    ("16", "男生有16名。", 'C'),
    ("16", "24名学生中，三分之一是8名女生，所以男生16名", 'C'),
    ("11", "1e1", 'W'),
    ("18", "She sells 16 - 3 - 4 = 9 eggs.\nShe makes \\(9 \\times 2 = 18\\) dollars.\n\n\\[\\boxed{18}\\]", 'C'),
    ("18", "9 eggs are left, which make \\(9 \\times 2 = 18\\) dollars.", 'C'),
    ("18", "First 9, then 2.\nThe final answer is: $\\boxed{18}$", 'C'),
    ("18", "The answer is 18 apples.", 'S'),
    ("18", "So 9 * 2 = $18 per day.", 'C'),
    ("18", "She makes **$18** every day.", 'C'),
    ("1234", "$1,234.00", 'S'),
    ("1234", "\\boxed{\\$1,234.00}", 'S'),
    ("1234", "\\boxed{1{,}234}", 'S'),
    ("1234", "Therefore he pays \\boxed{1234 \\text{ dollars}}.", 'C'),
    ("18", "\\boxed{9} at first, but the final answer is \\boxed{18}.", 'C'),
    ("9", "\\boxed{9} at first, but the final answer is \\boxed{18}.", 'W'),
];

#[test]
fn cases() {
    for (key, answer, expected) in CASES {
        let reading = read(&[(*key).to_owned()], "How many are there?", answer, false);
        let class = match reading.level {
            Level::Strict => 'S',
            Level::Right => 'C',
            Level::Lenient => 'L',
            Level::Wrong if reading.parsed => 'W',
            Level::Wrong => 'U',
        };
        assert_eq!(class, *expected, "{key} in {answer}: {reading:?}");
    }
}

#[test]
fn number_words_count_only_as_accepted_answers() {
    let keys = ["25".to_owned(), "二十五".to_owned(), "twenty-five".to_owned()];
    for (answer, right, strict) in [
        ("二十五", true, true),
        ("答案是二十五。", true, false),
        ("Twenty five", true, true),
        ("一百二十五", false, false),
        ("one hundred twenty-five", false, false),
        ("二十", false, false),
    ] {
        let reading = read(&keys, "", answer, false);
        assert_eq!((reading.level, reading.parsed), (Level::of(strict, right, right), right), "{answer}");
    }
}

#[test]
fn the_reading_can_be_seen() {
    let reading = read(&["5".to_owned()], "", "The answer is 1,025 apples, not 5.", false);
    assert_eq!((reading.extracted.as_deref(), reading.detail.as_deref()), (Some("1,025"), Some("not 5")));
}

#[test]
fn a_cut_answer_is_right_only_if_it_announced() {
    let cases = [
        ("4", "每只兔4条腿", false),
        ("4", "Each rabbit has 4", false),
        ("4", "The result of this step is 4 and", false),
        ("4", "Answer: 4\nTo see why", true),
        ("4", "so the answer is \\boxed{4}. We", true),
        ("4", "答案：4。验算", true),
        ("4", "Answer: 4", false),
        ("42", "Answer: 4", false),
    ];
    for (key, answer, right) in cases {
        let reading = read(&[key.to_owned()], "", answer, true);
        assert_eq!(reading.level >= Level::Right, right, "{answer}: {reading:?}");
    }
}

#[test]
fn numbers_of_a_list_are_not_read() {
    let cases = [
        ("3", "1. Add 4.\n2. Take 5.\n3. Done", false),
        ("2", "1. First we look at the dogs\n2. Then at the cats", false),
        ("9", "1. Add 4 and 5.\n2. That is 9.", true),
        ("9", "9. It is the square of three", true),
        ("1", "1. There is just a single one", true),
    ];
    for (key, answer, right) in cases {
        let reading = read(&[key.to_owned()], "", answer, false);
        assert_eq!(reading.level >= Level::Right, right, "{answer}: {reading:?}");
    }
}
