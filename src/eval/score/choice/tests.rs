use super::*;

/// S strict, C correct, L lenient only, W wrong, U unparsed; the right answer is always the third option.
const EN: &[&str] = &["calf", "chick", "puppy", "lamb"];
const ZH: &[&str] = &["苹果和橙子都有", "苹果", "橙子", "什么都没有"];
const LOGIC: &[&str] = &["All animals are cats", "Mimi is a dog", "Mimi is an animal", "Mimi is not an animal"];
const NUMBERS: &[&str] = &["12", "5", "8", "7"];
const CASES: &[(&[&str], &str, char)] = &[
    (EN, "C", 'S'),
    (EN, "C.", 'S'),
    (EN, "(C)", 'S'),
    (EN, "[C]", 'S'),
    (EN, "**C**", 'S'),
    (EN, "c", 'S'),
    (EN, "Ｃ", 'S'),
    (EN, "Answer: C", 'S'),
    (EN, "The answer is C.", 'S'),
    (EN, "The correct answer is (C).", 'S'),
    (EN, "\\boxed{C}", 'S'),
    (EN, "C. puppy", 'S'),
    (EN, "C) puppy", 'S'),
    (EN, "C puppy", 'S'),
    (EN, "C. A puppy", 'S'),
    (EN, "Option C", 'S'),
    (EN, "The correct option is C", 'S'),
    (EN, "I choose C", 'S'),
    (EN, "答案：C", 'S'),
    (EN, "答案是C。", 'S'),
    (EN, "选C", 'S'),
    (EN, "应选 C", 'S'),
    (EN, "正确答案是「C」", 'S'),
    (EN, "C\n\nA young dog is called a puppy.", 'C'),
    (EN, "C because a puppy is a young dog", 'C'),
    (EN, "C. puppy. A calf is a young cow.", 'C'),
    (EN, "The answer is C, not A.", 'C'),
    (EN, "A. calf\nB. chick\nC. puppy\nD. lamb\n\nAnswer: C", 'C'),
    (EN, "C\nA. calf is a young cow\nB. chick is a young hen", 'C'),
    (EN, "puppy", 'C'),
    (EN, "A puppy.", 'C'),
    (EN, "A dog is to a puppy as a cat is to a kitten.", 'C'),
    (EN, "Not a calf, a puppy.", 'C'),
    (EN, "It must be (C) since dogs have them", 'L'),
    (EN, "I think it is C.", 'L'),
    (EN, "A puppy. A calf is a young cow and a lamb a young sheep.", 'L'),
    (EN, "A", 'W'),
    (EN, "A.", 'W'),
    (EN, "a", 'W'),
    (EN, "B. chick", 'W'),
    (EN, "The answer is A", 'W'),
    (EN, "The answer is A because of cows", 'W'),
    (EN, "chick", 'W'),
    (EN, "A dog is a dog.", 'U'),
    (EN, "The answer is A dog", 'U'),
    (EN, "A or C", 'U'),
    (EN, "A and C", 'U'),
    (EN, "A, C", 'U'),
    (EN, "A/C", 'U'),
    (EN, "C、A", 'U'),
    (EN, "The answer is A or C.", 'U'),
    (EN, "C\nA", 'U'),
    (EN, "The answer is C. No, the answer is A.", 'U'),
    (EN, "B. puppy", 'U'),
    (EN, "C. chick", 'U'),
    (EN, "A. calf\nB. chick\nC. puppy\nD. lamb", 'U'),
    (EN, "ABCD", 'U'),
    (EN, "E", 'U'),
    (EN, "puppy or lamb", 'U'),
    (EN, "Puppies", 'U'),
    (EN, "I don't know.", 'U'),
    (EN, "C is wrong", 'U'),
    (EN, "It is not a puppy.", 'U'),
    (EN, "", 'U'),
    (EN, "...", 'U'),
    (ZH, "C", 'S'),
    (ZH, "C。橙子", 'S'),
    (ZH, "C、橙子", 'S'),
    (ZH, "C橙子", 'S'),
    (ZH, "我选C", 'S'),
    (ZH, "选项C", 'S'),
    (ZH, "C选项正确，因为它不是苹果。", 'C'),
    (ZH, "C是正确的", 'S'),
    (ZH, "答案是C不是A", 'C'),
    (ZH, "C，不是A", 'C'),
    (ZH, "A不对，选C", 'C'),
    (ZH, "A. 错误\nC. 正确", 'C'),
    (ZH, "盒子里放的是橙子。", 'C'),
    (ZH, "橙子", 'C'),
    (ZH, "不是苹果，是橙子", 'C'),
    (ZH, "苹果和橙子都有", 'W'),
    (ZH, "苹果", 'W'),
    (ZH, "不选A，选C", 'C'),
    (ZH, "A和C", 'U'),
    (ZH, "苹果或橙子", 'U'),
    (LOGIC, "Mimi is an animal", 'C'),
    (LOGIC, "Mimi is an animal.", 'C'),
    (LOGIC, "Mimi is not an animal", 'W'),
    (LOGIC, "C: Mimi is an animal", 'S'),
    (NUMBERS, "8", 'C'),
    (NUMBERS, "C. 8", 'S'),
    (NUMBERS, "18", 'U'),
    (NUMBERS, "5 + 3 = 8", 'U'),
    (NUMBERS, "It is 8.", 'C'),
];

#[test]
fn cases() {
    for (choices, answer, expected) in CASES {
        let choices: Vec<String> = choices.iter().map(|text| (*text).to_owned()).collect();
        let reading = read(&choices, 2, "Cat is to kitten as dog is to what?", answer, false);
        let class = match reading.level {
            Level::Strict => 'S',
            Level::Right => 'C',
            Level::Lenient => 'L',
            Level::Wrong if reading.parsed => 'W',
            Level::Wrong => 'U',
        };
        assert_eq!(reading.parsed, !"LU".contains(class), "{answer}: {reading:?}");
        assert_eq!(class, *expected, "{answer}: {reading:?}");
    }
}

#[test]
fn a_repeated_question_is_no_answer() {
    let choices = ["Tom".to_owned(), "Bob".to_owned()];
    let prompt = "Tom is tall. Who is taller than that?";
    assert!(!read(&choices, 0, prompt, "Tom is tall. Who is taller", false).parsed);
    assert_eq!(read(&choices, 0, prompt, "Tom", false).level, Level::Right);
}

#[test]
fn a_question_for_the_odd_one_is_answered_by_a_denial() {
    let choices = ["carrot".to_owned(), "apple".to_owned()];
    assert_eq!(read(&choices, 0, "Which of these is not a fruit?", "The carrot is not a fruit.", false).level, Level::Right);
    assert_eq!(read(&choices, 0, "Which of these is a root?", "The carrot is not a fruit.", false).level, Level::Wrong);
}

#[test]
fn the_reading_can_be_seen() {
    let choices: Vec<String> = EN.iter().map(|text| (*text).to_owned()).collect();
    let seen = |answer| {
        let reading = read(&choices, 2, "", answer, false);
        (reading.extracted, reading.detail)
    };
    assert_eq!(seen("B. chick"), (Some("B".into()), Some("not C".into())));
    assert_eq!(seen("a lamb"), (Some("lamb".into()), Some("not C".into())));
    assert_eq!(seen("A or B"), (None, Some("several letters, not C".into())));
}

#[test]
fn a_cut_answer_is_right_only_if_it_declared_a_letter() {
    let choices: Vec<String> = EN.iter().map(|text| (*text).to_owned()).collect();
    let cases = [
        ("C", true),
        ("C. puppy\nA dog", true),
        ("A kitten is a young cat.\nAnswer: C\nThis is", true),
        ("A kitten is a young cat, so the animal that we look for is a puppy", false),
        ("A calf is a young cow. A puppy", false),
        ("Step 1: kitten is to cat what puppy is to dog.\n\nStep 2:", false),
    ];
    for (answer, right) in cases {
        let reading = read(&choices, 2, "Cat is to kitten as dog is to what?", answer, true);
        assert_eq!(reading.level >= Level::Right, right, "{answer}: {reading:?}");
    }
}

#[test]
fn the_last_announcement_of_a_longer_answer_counts() {
    let choices: Vec<String> = EN.iter().map(|text| (*text).to_owned()).collect();
    let cases = [
        ("Option A is a young cow.\nOption B is a young hen.\nOption C is a young dog.\n\nAnswer: C", 'C'),
        ("The answer is A, I thought at first.\nBut a calf is a young cow.\nAnswer: C", 'C'),
        ("A. calf: no.\nC. puppy: yes.\n\n**Answer: C**", 'C'),
        ("一只小狗。\n选项A是小牛。\n答案：C", 'C'),
        ("Let us see.\n\\boxed{C}", 'C'),
        ("We compare.\nAnswer: A", 'A'),
        ("We compare.\nAnswer: C. chick", '-'),
    ];
    for (answer, letter) in cases {
        let reading = read(&choices, 2, "Cat is to kitten as dog is to what?", answer, false);
        assert_eq!(reading.extracted.as_deref(), Some(letter.to_string().as_str()).filter(|_| letter != '-'), "{answer}: {reading:?}");
    }
}

#[test]
fn a_letter_with_a_foreign_text_is_in_doubt() {
    let choices: Vec<String> = EN.iter().map(|text| (*text).to_owned()).collect();
    for answer in ["C. CSDN 迪菲赫尔曼 开发和维护。", "C. 她菲赫尔曼", "C) I am a language model made by OpenAI"] {
        assert!(!read(&choices, 2, "Cat is to kitten as dog is to what?", answer, false).parsed, "{answer}");
    }
    for answer in ["C. The puppy.", "C. Because a puppy is a young dog", "C. 因为小狗", "C. This is the young of a dog", "C"] {
        assert!(read(&choices, 2, "Cat is to kitten as dog is to what?", answer, false).level >= Level::Right, "{answer}");
    }
}
