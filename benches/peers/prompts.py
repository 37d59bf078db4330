"""Ten ways of asking MMLU, through transformers: how far does the letter a model prefers depend on the prompt?

    python3 benches/peers/prompts.py MODEL.gguf MMLU_FOLDER      # the folder with dev/*.csv and test/*.csv

Eight items a subject (seed 0), bf16 on a GPU; prints accuracy, the letters chosen, and the probability that all four
letters have together. Needs torch, transformers and gguf.
"""

import collections
import csv
import glob
import math
import os
import random
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

g,mmlu=sys.argv[1:3]; d,n=os.path.split(os.path.abspath(g))
tok=AutoTokenizer.from_pretrained(d,gguf_file=n); m=AutoModelForCausalLM.from_pretrained(d,gguf_file=n,dtype=torch.bfloat16).cuda().eval()
def rd(f):
    with open(f) as h:
        r=list(csv.reader(h)); return [x for x in r[1:]] 
random.seed(0); items=[]
dev={}
for f in sorted(glob.glob(f'{mmlu}/test/*.csv')):
    s=os.path.basename(f)[:-4].replace('_test',''); rows=rd(f)
    for r in random.sample(rows,min(8,len(rows))): items.append((s,r))
    df=glob.glob(f'{mmlu}/dev/{s}*.csv')
    dev[s]=rd(df[0])[:5] if df else []
print(len(items), items[0], len(dev[items[0][0]]), flush=True)
L='ABCD'
def q(r): return r[0]+''.join(f'\n{L[i]}. {r[1+i]}' for i in range(4))
def ans(r): return L[int(r[5])] if r[5].strip().isdigit() else r[5].strip()
def chat(msgs,sysm='You are a helpful assistant.'):
    ms=([{'role':'system','content':sysm}] if sysm is not None else [])+msgs
    return tok.apply_chat_template(ms,tokenize=False,add_generation_prompt=True)
U=lambda t:{'role':'user','content':t}; A=lambda t:{'role':'assistant','content':t}
inst='\nAnswer with the letter only.'
forms={
 'F0 letter only':lambda s,r:(chat([U(q(r)+inst)]),L),
 'F0 no system':lambda s,r:(chat([U(q(r)+inst)],None),L),
 'F1 prefix The answer is':lambda s,r:(chat([U(q(r)+inst)])+'The answer is',[' '+l for l in L]),
 'F1b prefix The correct answer is:':lambda s,r:(chat([U(q(r))])+'The correct answer is:',[' '+l for l in L]),
 'F2 subject Answer:':lambda s,r:(chat([U(f'The following is a multiple choice question about {s.replace("_"," ")}.\n\n{q(r)}\nAnswer:')]),L),
 'F3 with prefix Answer:':lambda s,r:(chat([U(f'The following is a multiple choice question about {s.replace("_"," ")}.\n\n{q(r)}')])+'Answer:',[' '+l for l in L]),
 'F4 5shot plain':lambda s,r:(f'The following are multiple choice questions (with answers) about {s.replace("_"," ")}.\n\n'+''.join(q(x)+'\nAnswer: '+ans(x)+'\n\n' for x in dev[s])+q(r)+'\nAnswer:',[' '+l for l in L]),
 'F5 5shot chat':lambda s,r:(chat([y for x in dev[s] for y in (U(q(x)+inst),A(ans(x)))]+[U(q(r)+inst)]),L),
 'F6 0shot plain':lambda s,r:(f'The following are multiple choice questions (with answers) about {s.replace("_"," ")}.\n\n'+q(r)+'\nAnswer:',[' '+l for l in L]),
 'F7 5shot in one user turn':lambda s,r:(chat([U(f'The following are multiple choice questions (with answers) about {s.replace("_"," ")}.\n\n'+''.join(q(x)+'\nAnswer: '+ans(x)+'\n\n' for x in dev[s])+q(r)+'\nAnswer:')]),L),
}
for name,f in forms.items():
    ok=0;dist=collections.Counter();mass=0
    for s,r in items:
        t,ls=f(s,r); ids=tok(t,add_special_tokens=False,return_tensors='pt').input_ids.cuda()
        with torch.no_grad(): lg=m(ids[:, -3000:],logits_to_keep=1).logits[0,-1].float()
        p=lg.log_softmax(-1); c=[tok(l,add_special_tokens=False).input_ids[0] for l in ls]
        v=[p[i].item() for i in c]; mass+=sum(math.exp(x) for x in v)
        k=max(range(4),key=lambda i:v[i]); dist[L[k]]+=1; ok+=L[k]==ans(r)
    print(f'{name}: {100*ok/len(items):.1f} % of {len(items)}; letters {dict(dist)}; mass {mass/len(items):.2f}',flush=True)
