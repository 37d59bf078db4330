//! Other models and their makers: who a fine-tuned model must not say it is, and what its base was called before.

/// A family of models and who makes it.
#[derive(Debug)]
pub struct Rival {
    /// Names of its models, in Latin and Chinese writing.
    pub models: &'static [&'static str],
    /// Names of its maker.
    pub makers: &'static [&'static str],
}

impl Rival {
    /// Names of models and maker.
    pub fn forms(&self) -> impl Iterator<Item = &'static str> {
        self.models.iter().chain(self.makers).copied()
    }
}

/// A rival by one of its names.
pub fn rival(name: &str) -> Option<&'static Rival> {
    RIVALS.iter().find(|rival| rival.forms().any(|form| form.eq_ignore_ascii_case(name)))
}

const fn of(models: &'static [&'static str], makers: &'static [&'static str]) -> Rival {
    Rival { models, makers }
}

/// The list that all items share.
pub static RIVALS: &[Rival] = &[
    of(&["ChatGPT", "Chat GPT", "GPT-4", "GPT-4o", "GPT-3", "GPT-3.5", "GPT-5", "GPT4", "GPT"], &["OpenAI", "Open AI"]),
    of(&["Claude"], &["Anthropic"]),
    of(&["Gemini", "Bard", "PaLM", "Gemma"], &["Google", "DeepMind", "谷歌"]),
    of(&["Copilot", "Bing Chat", "Phi-3", "Phi-4", "微软小冰"], &["Microsoft", "微软"]),
    of(&["Llama", "Llama 2", "Llama 3", "Code Llama", "羊驼大模型"], &["Meta", "Meta AI", "Facebook", "脸书"]),
    of(
        &["Qwen", "Qwen2", "Qwen2.5", "Qwen3", "QwQ", "Tongyi", "Tongyi Qianwen", "通义千问", "通义", "千问"],
        &["Alibaba", "Alibaba Cloud", "Aliyun", "DAMO Academy", "阿里巴巴", "阿里云", "阿里", "达摩院"],
    ),
    of(&["SmolLM", "SmolLM2", "SmolLM3", "HuggingChat"], &["Hugging Face", "HuggingFace", "抱抱脸"]),
    of(&["DeepSeek", "深度求索"], &["DeepSeek", "High-Flyer", "深度求索", "幻方"]),
    of(&["Ernie", "Ernie Bot", "Wenxin", "Wenxin Yiyan", "文心一言", "文心"], &["Baidu", "百度"]),
    of(&["Doubao", "Skylark", "豆包", "云雀"], &["ByteDance", "TikTok", "字节跳动", "抖音"]),
    of(&["Hunyuan", "Yuanbao", "混元", "腾讯元宝"], &["Tencent", "腾讯"]),
    of(&["Kimi"], &["Moonshot", "Moonshot AI", "月之暗面"]),
    of(&["ChatGLM", "GLM-4", "智谱清言"], &["Zhipu", "Zhipu AI", "智谱", "智谱清华", "清华大学"]),
    of(&["Baichuan", "百川", "百小应"], &["Baichuan Inc", "百川智能", "王小川"]),
    of(&["Yi-34B", "Yi-Lightning"], &["01.AI", "01 AI", "零一万物", "李开复"]),
    of(&["iFlytek Spark", "SparkDesk", "讯飞星火", "星火大模型"], &["iFlytek", "科大讯飞", "讯飞"]),
    of(&["PanGu", "盘古大模型"], &["Huawei", "华为"]),
    of(&["SenseNova", "SenseChat", "日日新"], &["SenseTime", "商汤"]),
    of(&["InternLM", "书生浦语"], &["Shanghai AI Lab", "上海人工智能实验室"]),
    of(&["MiniMax", "abab", "海螺AI"], &["MiniMax", "稀宇科技"]),
    of(&["Mistral", "Mixtral", "Le Chat"], &["Mistral AI", "Mistral"]),
    of(&["Grok"], &["xAI"]),
    of(&["Command R", "Command R+"], &["Cohere"]),
    of(&["Amazon Nova", "Alexa"], &["Amazon", "AWS", "亚马逊"]),
    of(&["Siri", "Apple Intelligence"], &["Apple", "苹果公司"]),
    of(&["Nemotron"], &["NVIDIA", "英伟达"]),
    of(&["Granite", "Watsonx"], &["IBM"]),
    of(&["Jurassic", "Jamba"], &["AI21"]),
    of(&["Falcon"], &["TII", "Technology Innovation Institute"]),
    of(&["360智脑", "Zhinao"], &["奇虎", "Qihoo"]),
    of(&["跃问"], &["StepFun", "阶跃星辰"]),
    of(&["小爱同学", "MiMo"], &["Xiaomi", "小米公司"]),
    of(&["StableLM"], &["Stability AI"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rival_is_found_by_any_name() {
        assert!(RIVALS.len() >= 25);
        assert!(rival("openai").unwrap().models.contains(&"ChatGPT"));
        assert!(rival("通义千问").unwrap().makers.contains(&"Alibaba"));
        assert!(rival("Nobody").is_none());
    }
}
