//! Scripts that start a pack, in plain sh: each finds its own folder, takes the base as its argument, and gives template,
//! system prompt and adapter to the program.

/// What scripts need to know of a pack.
#[derive(Debug, Clone)]
pub struct Launch<'a> {
    /// The pack's name.
    pub name: &'a str,
    /// What the base is asked for by, where another machine can ask for it: a catalogue name or hf:owner/repo.
    pub base: Option<&'a str>,
    /// sha256 of the base, where it is one GGUF file.
    pub gguf: Option<&'a str>,
    /// Largest rank of the adapter.
    pub rank: usize,
    /// The pack holds the adapter in llama.cpp's form.
    pub llama_cpp: bool,
}

/// The scripts by name.
pub fn scripts(launch: &Launch<'_>) -> Vec<(String, String)> {
    let name = launch.name;
    let mut scripts = vec![(format!("run_{name}.sh"), ballast(launch)), (format!("run_{name}_vllm.sh"), vllm(launch))];
    if launch.llama_cpp {
        scripts.push((format!("run_{name}_llama_cpp.sh"), llama_cpp(launch)));
        scripts.push((format!("run_{name}_ollama.sh"), ollama(launch)));
    }
    scripts
}

const HERE: &str = "here=$(CDPATH= cd -- \"$(dirname -- \"$0\")\" && pwd)\n";

fn head(launch: &Launch<'_>, what: &str, base: &str) -> String {
    format!("#!/bin/sh\n# {what}\n# usage: sh run_{}... {base}\nset -eu\n{HERE}", launch.name)
}

fn ballast(launch: &Launch<'_>) -> String {
    let base = match launch.base {
        // The pack knows its base.
        Some(_) => "if [ $# -gt 0 ]; then set -- --base \"$1\"; fi\n".to_owned(),
        None => need("GGUF file or folder of the base") + "set -- --base \"$1\"\n",
    };
    format!(
        "{}{base}exec \"${{BALLAST:-ballast}}\" chat --pack \"$here\" \"$@\"\n",
        head(launch, "Chat through Ballast, which checks the pack and its base first.", "[BASE]")
    )
}

fn need(what: &str) -> String {
    format!("if [ $# -lt 1 ]; then echo \"usage: sh $0 BASE   ({what})\" >&2; exit 2; fi\n")
}

/// The base's digest, where the base was one GGUF file.
fn verified(launch: &Launch<'_>) -> String {
    launch.gguf.map_or_else(String::new, |sha256| {
        format!(
            "sum=$( (sha256sum \"$1\" 2>/dev/null || shasum -a 256 \"$1\") | cut -d ' ' -f 1)\nif [ \"$sum\" != {sha256} ]; then echo \"$1 is not the \
             base of this pack\" >&2; exit 2; fi\n"
        )
    })
}

fn llama_cpp(launch: &Launch<'_>) -> String {
    format!(
        "{}{}{}exec \"${{LLAMA_CLI:-llama-cli}}\" -m \"$1\" --lora \"$here/adapter.gguf\" --jinja --chat-template-file \"$here/chat_template.jinja\" \\\n  \
         -sys \"$(cat \"$here/system.txt\")\" --temp 0 -cnv\n",
        head(launch, "Chat through llama.cpp.", "BASE.gguf"),
        need("GGUF file of the base"),
        verified(launch)
    )
}

fn ollama(launch: &Launch<'_>) -> String {
    format!(
        "{}{}{}case $1 in /*) base=$1 ;; *) base=$PWD/$1 ;; esac\nfile=$(mktemp)\ntrap 'rm -f \"$file\"' EXIT\nsed -e \"s|^FROM .*|FROM $base|\" -e \
         \"s|^ADAPTER .*|ADAPTER $here/adapter.gguf|\" \"$here/Modelfile\" >\"$file\"\n\"${{OLLAMA:-ollama}}\" create {name} -f \"$file\"\n\
         \"${{OLLAMA:-ollama}}\" run {name}\n",
        head(launch, "Chat through Ollama.", "BASE.gguf"),
        need("GGUF file of the base"),
        verified(launch),
        name = launch.name
    )
}

fn vllm(launch: &Launch<'_>) -> String {
    let rank = [8, 16, 32, 64, 128, 256, 320, 512].into_iter().find(|size| *size >= launch.rank).unwrap_or(512);
    let default = match launch.base.and_then(|base| base.strip_prefix("hf:")) {
        Some(repo) => format!("if [ $# -lt 1 ]; then set -- '{repo}'; fi\n"),
        None => need("Hugging Face folder or repository of the base"),
    };
    format!(
        "{}# A server has no system prompt of its own: clients send the text of system.txt as the first message.\n{default}exec \"${{VLLM:-vllm}}\" serve \
         \"$1\" --enable-lora --max-lora-rank {rank} --lora-modules \"{name}=$here/adapter\" \\\n  --chat-template \"$here/chat_template.jinja\"\n",
        head(launch, "Serve through vLLM.", "BASE"),
        name = launch.name
    )
}
