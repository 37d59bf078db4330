"""Writes evalsets/instructions/items.jsonl: requests with orders that a program can verify, in English and Chinese.

    python3 evalsets/generate_instructions.py           writes the file
    python3 evalsets/generate_instructions.py --check   fails unless the file is what this writes

Each topic is asked about four times, each time with another set of orders; the Chinese item is the twin of the English one.
The key `answer` is a right answer composed of the topic's own sentences: `ballast suite check` grades it.
All topics and sentences were written for Ballast.
"""

import json
import pathlib
import sys

# name, stems that an answer about it uses, sentences; the same in Chinese.
TOPICS = [
    ("rain", ["rain"], ["Rain falls when drops in a cloud grow too heavy", "A light rain cools the streets in summer", "Farmers plan their weeks around the rain", "Heavy rain fills rivers and ponds", "The smell after rain comes from the soil", "Rain gauges measure how much has fallen"],
     "雨", ["雨"], ["云里的水滴变重以后就会下雨", "夏天的小雨让街道凉快下来", "农民常常看雨水安排农活", "大雨会让河流和池塘涨满", "雨后的气味来自泥土", "雨量计可以量出下了多少雨"]),
    ("bread", ["bread", "loaf"], ["Bread begins with flour and water", "Yeast makes the bread rise", "A hot oven gives bread its crust", "Fresh bread keeps for about two days", "Many families bake bread on Sunday", "Old bread makes good soup"],
     "面包", ["面包"], ["做面包先要有面粉和水", "酵母让面包发起来", "热烤箱给面包一层脆皮", "新鲜面包可以放两天左右", "很多家庭在周日烤面包", "剩下的面包可以煮汤"]),
    ("bicycles", ["bicycle", "bike", "cycl"], ["A bicycle turns effort into distance", "Bicycle tyres need air every few weeks", "A clean chain makes a bicycle quiet", "Good lights keep bicycle riders safe", "A bicycle needs little space in a city", "Children learn to ride a bicycle by practice"],
     "自行车", ["自行车", "单车"], ["自行车把力气变成路程", "自行车的轮胎每几周要打气", "干净的链条让自行车安静", "好的车灯让骑自行车更安全", "自行车在城市里占地很小", "孩子靠练习学会骑自行车"]),
    ("libraries", ["librar"], ["A library lends books to everyone", "Library desks are good places to study", "Many libraries hold readings for children", "A library card costs little or nothing", "Librarians help people find sources", "Libraries keep old newspapers too"],
     "图书馆", ["图书馆"], ["图书馆把书借给每个人", "图书馆的书桌适合学习", "很多图书馆给孩子办读书会", "办图书馆的借书证花不了多少钱", "图书馆员帮人找资料", "图书馆也保存旧报纸"]),
    ("bees", ["bee", "hive"], ["Bees carry pollen from flower to flower", "A hive of bees has one queen", "Bees dance to show where food is", "Bees store honey for the winter", "Gardens with many flowers help bees", "Bees see colours that people cannot"],
     "蜜蜂", ["蜜蜂"], ["蜜蜂把花粉从一朵花带到另一朵", "一窝蜜蜂只有一只蜂王", "蜜蜂用跳舞告诉同伴食物在哪里", "蜜蜂为冬天存下蜂蜜", "花多的园子对蜜蜂有帮助", "蜜蜂能看到人看不到的颜色"]),
    ("tea", ["tea"], ["Tea leaves open slowly in hot water", "Green tea needs cooler water than black tea", "Many people drink tea with friends", "Tea bushes grow well on hills", "A warm pot keeps tea hot", "Strong tea tastes bitter"],
     "茶", ["茶"], ["茶叶在热水里慢慢展开", "泡绿茶的水温比红茶低", "很多人和朋友一起喝茶", "茶树在山坡上长得好", "温过的壶能让茶保温", "太浓的茶味道发苦"]),
    ("trains", ["train", "rail"], ["Trains carry many people at once", "A night train saves the price of a hotel", "Trains run on rails of steel", "Train stations often stand in the centre of town", "A late train makes people anxious", "Trains use less energy than cars per person"],
     "火车", ["火车", "列车"], ["火车一次能运很多人", "坐夜里的火车可以省下住店的钱", "火车在钢轨上行驶", "火车站常常在市中心", "火车晚点让人着急", "火车平均每人用的能源比汽车少"]),
    ("maps", ["map"], ["A map shows where things are", "Old maps were drawn by hand", "The scale of a map tells real distances", "Blue on a map usually means water", "A map without a date may mislead", "Hikers trust a paper map when phones fail"],
     "地图", ["地图"], ["地图告诉人们东西在哪里", "过去的地图是手画的", "地图的比例尺说明真实距离", "地图上的蓝色一般是水", "没有日期的地图可能误导人", "手机没电时徒步的人靠纸地图"]),
    ("volcanoes", ["volcan"], ["Volcanoes open where melted rock reaches the surface", "Soil near volcanoes is often rich", "Scientists watch volcanoes with many instruments", "Some volcanoes sleep for centuries", "Volcanoes can build new islands", "Ash from volcanoes disturbs air travel"],
     "火山", ["火山"], ["岩浆到达地面的地方就有火山", "火山附近的土壤常常肥沃", "科学家用很多仪器观察火山", "有的火山沉睡几百年", "火山能造出新的岛屿", "火山灰会影响飞机航行"]),
    ("sleep", ["sleep"], ["Sleep helps the brain sort the day", "Most adults need about eight hours of sleep", "A dark room makes sleep easier", "Late coffee disturbs sleep", "Regular hours improve sleep", "Poor sleep makes small problems feel large"],
     "睡眠", ["睡"], ["睡眠帮助大脑整理一天的事", "多数成年人需要大约八小时睡眠", "暗的房间让人容易入睡", "晚上喝咖啡会影响睡眠", "规律的时间能改善睡眠", "睡眠不好会让小事显得很大"]),
    ("glass", ["glass"], ["Glass is made from sand and heat", "Glass breaks but does not rust", "Coloured glass filled old church windows", "Recycled glass melts at a lower temperature", "Thick glass keeps noise out", "Glass bottles can be washed and used again"],
     "玻璃", ["玻璃"], ["玻璃由沙子加热制成", "玻璃会碎但不会生锈", "古老教堂的窗上有彩色玻璃", "回收的玻璃熔化温度更低", "厚玻璃能隔音", "玻璃瓶洗过可以再用"]),
    ("rivers", ["river"], ["Rivers carry water from hills to the sea", "Many cities grew beside rivers", "Rivers shape valleys over thousands of years", "Fish climb some rivers to lay eggs", "Dams slow rivers and store water", "Clean rivers attract birds"],
     "河流", ["河"], ["河流把山上的水带到大海", "很多城市在河边长大", "河流用几千年塑造山谷", "有的鱼逆河而上去产卵", "水坝让河水变慢并存住水", "干净的河流引来鸟"]),
    ("chess", ["chess"], ["Chess is played on a board of sixty four squares", "A chess game can end in a draw", "Chess players think several moves ahead", "Chess clubs welcome beginners", "The queen is the strongest piece in chess", "Chess trains patience"],
     "国际象棋", ["象棋", "棋"], ["国际象棋的棋盘有六十四格", "一盘国际象棋可以和棋", "下国际象棋的人会多想几步", "国际象棋俱乐部欢迎初学者", "后是国际象棋里最强的棋子", "国际象棋锻炼耐心"]),
    ("clocks", ["clock"], ["A clock divides the day into equal parts", "The first clocks had only one hand", "Church clocks told whole towns the time", "A clock that runs fast must be set back", "Station clocks are easy to read", "Clocks gave ships a way to find longitude"],
     "钟表", ["钟", "表"], ["钟表把一天分成相等的部分", "最早的钟表只有一根针", "教堂的钟告诉全镇时间", "走快的钟要往回拨", "车站的钟很容易看清", "钟表帮助船只确定经度"]),
    ("gardens", ["garden"], ["A garden needs light and water", "Small gardens can feed a family with herbs", "Garden soil improves with compost", "Birds visit gardens with trees", "A garden changes with every season", "Work in the garden calms the mind"],
     "花园", ["花园", "园"], ["花园需要阳光和水", "小花园能给一家人种出香草", "堆肥能改良花园的土", "有树的花园会有鸟来", "花园随季节变化", "在花园里干活让人平静"]),
    ("markets", ["market"], ["Markets open early in the morning", "Prices at a market change with the season", "A market brings farmers and cooks together", "People talk more at markets than in shops", "Markets smell of fruit and spices", "At closing time markets become cheap"],
     "菜市场", ["市场", "菜市"], ["菜市场一大早就开门", "菜市场的价格随季节变", "菜市场让农民和厨师见面", "人们在菜市场聊得更多", "菜市场里有水果和香料的味道", "快关门的时候菜市场很便宜"]),
    ("whales", ["whale"], ["Whales breathe air like people", "Blue whales are the largest animals alive", "Whales sing across great distances", "Some whales dive for more than an hour", "Whales travel far to have their young", "Whale watchers keep their distance"],
     "鲸", ["鲸"], ["鲸像人一样呼吸空气", "蓝鲸是现存最大的动物", "鲸的歌声能传得很远", "有的鲸能潜水一个多小时", "鲸会游很远去生小鲸", "看鲸的人要保持距离"]),
    ("bridges", ["bridge"], ["Bridges join places that water divides", "Stone bridges can stand for centuries", "A long bridge must bend a little in the wind", "Bridges need paint against rust", "Old bridges carried shops and houses", "Engineers test bridges with heavy loads"],
     "桥", ["桥"], ["桥把被水分开的地方连起来", "石桥可以立几百年", "长桥在风里要能稍微弯曲", "桥要刷漆防锈", "过去的桥上有店铺和房子", "工程师用重物检验桥"]),
    ("paper", ["paper"], ["Paper is made from fibres of wood", "Thick paper suits watercolours", "Paper folds better along the grain", "Recycled paper saves water", "Acid makes old paper yellow", "A sheet of paper is stronger when folded"],
     "纸", ["纸"], ["纸由木头的纤维制成", "厚纸适合画水彩", "顺着纹理折纸更好折", "再生纸可以省水", "酸会让旧纸变黄", "一张纸折过以后更结实"]),
    ("soap", ["soap"], ["Soap lifts oil from the skin", "Old soap was made from fat and ash", "Soap works best with warm water", "Hard water makes soap foam less", "A dry dish keeps soap from melting", "Soap has many scents"],
     "肥皂", ["肥皂"], ["肥皂能把皮肤上的油带走", "过去的肥皂用油脂和草木灰做", "用温水时肥皂效果最好", "硬水让肥皂泡沫变少", "干的皂盒让肥皂不易化掉", "肥皂有很多香味"]),
    ("lighthouses", ["lighthouse"], ["Lighthouses warn ships of rocks", "Each lighthouse has its own rhythm of light", "Keepers once lived in lighthouses all year", "Lighthouses stand on capes and islands", "Most lighthouses work without people today", "Painters love lighthouses"],
     "灯塔", ["灯塔"], ["灯塔提醒船只小心礁石", "每座灯塔都有自己的闪光节奏", "过去守灯塔的人全年住在里面", "灯塔立在海角和岛上", "今天多数灯塔不用人看守", "画家喜欢灯塔"]),
    ("snow", ["snow"], ["Snow forms in cold clouds", "Fresh snow makes a town quiet", "Snow protects seeds from frost", "Wet snow is heavy on roofs", "Children build figures from snow", "Snow reflects most of the light"],
     "雪", ["雪"], ["雪在冷云里形成", "新雪让小镇安静", "雪保护种子不受冻", "湿雪压在屋顶上很重", "孩子们用雪堆出雪人", "雪会反射大部分光"]),
    ("coffee", ["coffee"], ["Coffee beans are seeds of a red fruit", "Dark roasts make coffee bitter", "Coffee tastes best soon after grinding", "Many offices run on coffee", "A paper filter makes coffee clear", "Too much coffee makes hands shake"],
     "咖啡", ["咖啡"], ["咖啡豆是一种红果的种子", "深烘焙让咖啡发苦", "咖啡磨好后很快喝最香", "很多办公室离不开咖啡", "滤纸让咖啡更清", "咖啡喝太多手会抖"]),
    ("shoes", ["shoe"], ["Shoes protect feet from stones", "Leather shoes last longer with care", "Running shoes wear out after some months", "Wet shoes dry best far from heat", "Good shoes fit at the end of the day", "Old shoes can be given new soles"],
     "鞋", ["鞋"], ["鞋保护脚不被石头伤到", "皮鞋保养得好能穿更久", "跑鞋穿几个月就磨坏", "湿鞋要离热源远一点晾干", "好鞋在傍晚试也合脚", "旧鞋可以换新底"]),
    ("kites", ["kite"], ["Kites need a steady wind", "A kite with a tail flies calmly", "Kites were used to carry lines across rivers", "Light wood makes a good kite", "Never fly a kite near power lines", "Children decorate kites with paint"],
     "风筝", ["风筝"], ["放风筝要有稳定的风", "有尾巴的风筝飞得稳", "过去有人用风筝把绳子送过河", "轻的木条适合做风筝", "不要在电线附近放风筝", "孩子们给风筝画上颜色"]),
]

# A table's head names no topic, and its rows seldom repeat it: words that a table about it uses as well.
KIN = {
    "bicycles": (["wheel", "pedal", "ride", "riding", "handlebar", "saddle"], ["车轮", "轮胎", "踏板", "骑", "车把", "车架"]),
    "tea": (["brew", "leaf", "leaves", "steep", "oolong"], ["泡", "叶", "红茶", "乌龙"]),
    "volcanoes": (["lava", "magma", "erupt", "ash"], ["岩浆", "熔岩", "喷发"]),
    "rivers": (["spring", "estuary", "upstream", "downstream", "flood", "bank", "tributar"], ["支流", "源头", "流域", "上游", "下游", "泛滥", "灌溉"]),
    "clocks": (["hour", "minute", "pendulum", "tick"], ["小时", "分钟", "时间", "指针"]),
    "whales": (["mammal", "krill", "blowhole", "fin"], ["哺乳", "磷虾", "喷水", "鳍"]),
    "soap": (["wash", "lather", "grease", "lye", "clean"], ["洗", "泡沫", "油污", "清洁"]),
    "coffee": (["bean", "espresso", "roast", "caffeine"], ["豆", "烘焙", "拿铁", "美式"]),
    "kites": (["string", "wind", "fly", "flies", "flying", "tail"], ["风力", "有风", "线", "放飞", "竹"]),
}

NUMBER_EN = {2: "two", 3: "three", 4: "four", 5: "five"}
NUMBER_ZH = {2: "两", 3: "三", 4: "四", 5: "五"}


def word(stem):
    return stem[0]


def order(kind, **keys):
    return {"order": kind, **keys}


def bullets(t, zh, n):
    s = t[5] if zh else t[2]
    name = t[3] if zh else t[0]
    banned = "非常" if zh else "very"
    prompt = (
        f"用正好{NUMBER_ZH[n]}个要点介绍{name}，每个要点单独一行，以“- ”开头。不要使用“{banned}”这个词，也不要写任何别的内容。"
        if zh
        else f"Tell me about {name} in exactly {NUMBER_EN[n]} bullet points, each on its own line and starting with \"- \". Do not use the word \"{banned}\", and write nothing else."
    )
    end = "。" if zh else "."
    return prompt, [order("bullets", exactly=n), order("exclude", words=[banned]), order("only-list")], "\n".join(f"- {x}{end}" for x in s[:n])


def sentences(t, zh, n):
    s = t[5] if zh else t[2]
    name = t[3] if zh else t[0]
    if zh:
        most = 30 * n
        return (
            f"用正好{NUMBER_ZH[n]}句话解释{name}，总共不超过{most}个字。",
            [order("sentences", min=n, max=n), order("characters", max=most)],
            "".join(f"{x}。" for x in s[:n]),
        )
    most = 18 * n
    return (
        f"Explain {name} in exactly {NUMBER_EN[n]} sentences and at most {most} words.",
        [order("sentences", min=n, max=n), order("words", max=most)],
        " ".join(f"{x}." for x in s[:n]),
    )


def lowercase(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    if zh:
        return (
            f"写一段关于{name}的话，至少40个字，全文不要出现任何标点符号，用空格分开句子。",
            [order("characters", min=40), order("no-characters", characters="，。！？、；：“”,.!?;:")],
            " ".join(s[:5]),
        )
    return (
        f"Describe {name} in at least 25 words, using lowercase letters only and no commas.",
        [order("words", min=25), order("lowercase"), order("no-characters", characters=",")],
        " ".join(f"{x.lower()}." for x in s[:5]),
    )


def paragraphs(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    first, last = ("先说一句", "就说到这里。") if zh else ("To begin with", "That is all.")
    if zh:
        return (
            f"写{NUMBER_ZH[n]}段关于{name}的文字，段与段之间空一行。全文以“{first}”开头，以“{last}”结尾。",
            [order("paragraphs", exactly=n), order("starts-with", text=first), order("ends-with", text=last)],
            "\n\n".join([f"{first}，{s[0]}。"] + [f"{x}。" for x in s[1 : n - 1]] + [f"{s[n]}。{last}"]),
        )
    return (
        f"Write {NUMBER_EN[n]} paragraphs about {name}, separated by a blank line. Begin the whole text with \"{first}\" and end it with \"{last}\"",
        [order("paragraphs", exactly=n), order("starts-with", text=first), order("ends-with", text=last)],
        "\n\n".join([f"{first}, {s[0][0].lower()}{s[0][1:]}."] + [f"{x}." for x in s[1 : n - 1]] + [f"{s[n]}. {last}"]),
    )


def as_json(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    if zh:
        return (
            f"只输出一个 JSON 对象来介绍{name}，键为 \"topic\"、\"summary\" 和 \"facts\"，其中 facts 是{NUMBER_ZH[n]}个字符串的数组。不要写别的内容。",
            [order("json", keys={"topic": "string", "summary": "string", "facts": f"strings:{n}"})],
            json.dumps({"topic": name, "summary": s[0], "facts": s[1 : n + 1]}, ensure_ascii=False),
        )
    return (
        f"Present {name} as a single JSON object with the keys \"topic\", \"summary\" and \"facts\", where facts is an array of {NUMBER_EN[n]} strings. Output nothing else.",
        [order("json", keys={"topic": "string", "summary": "string", "facts": f"strings:{n}"})],
        json.dumps({"topic": name, "summary": s[0], "facts": s[1 : n + 1]}),
    )


def numbered(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    title = f"关于{name}" if zh else f"About {name}"
    if zh:
        return (
            f"先写一个用双书名号括起来的标题，如<<标题>>，再用正好{NUMBER_ZH[n]}条编号列表（1. 2. ……）介绍{name}。",
            [order("title"), order("numbered", exactly=n)],
            f"<<{title}>>\n" + "\n".join(f"{i + 1}. {x}。" for i, x in enumerate(s[:n])),
        )
    return (
        f"Start with a title in double angle brackets, such as <<title>>. Then give a numbered list (1. 2. ...) of exactly {NUMBER_EN[n]} points about {name}.",
        [order("title"), order("numbered", exactly=n)],
        f"<<{title}>>\n" + "\n".join(f"{i + 1}. {x}." for i, x in enumerate(s[:n])),
    )


def other_language(t, zh, n):
    if zh:
        return (
            f"请只用英文回答，写{NUMBER_ZH[n]}句话介绍{t[3]}。",
            [order("language", language="en"), order("sentences", min=n, max=n)],
            " ".join(f"{x}." for x in t[2][:n]),
        )
    return (
        f"Answer in Chinese only: introduce {t[0]} in {NUMBER_EN[n]} sentences.",
        [order("language", language="zh"), order("sentences", min=n, max=n)],
        "".join(f"{x}。" for x in t[5][:n]),
    )


def keywords(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    extra = ["因此", "例如"] if zh else ["therefore", "for example"]
    least = 30 if zh else 20
    if zh:
        return (
            f"写一段至少{least}个字的话谈谈{name}，必须用到“{extra[0]}”和“{extra[1]}”这两个词，而且“{name}”至少出现{NUMBER_ZH[n]}次。",
            [order("include", words=[extra[0]]), order("include", words=[extra[1]]), order("include", words=[name], times=n), order("characters", min=least)],
            f"{name}很常见，{extra[1]}{s[0]}。{name}也有用，{extra[0]}值得了解。" + "".join(f"{name}：{x}。" for x in s[1:n]),
        )
    return (
        f"Write at least {least} words about {name}. Use the phrases \"{extra[0]}\" and \"{extra[1]}\", and write the word \"{name}\" at least {NUMBER_EN[n]} times.",
        [order("include", words=[extra[0]]), order("include", words=[extra[1]]), order("include", words=[name], times=n), order("words", min=least)],
        f"There is much to say about {name}, {extra[1]} this: {s[0].lower()}. We see {name} often and {extra[0]} know {name} well. "
        + " ".join(f"On {name}: {x.lower()}." for x in s[1:n]),
    )


def table(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    head = ["方面", "说明"] if zh else ["aspect", "note"]
    if zh:
        prompt = f"用一个两列的 Markdown 表格介绍{name}，表头为“{head[0]}”和“{head[1]}”，正好{NUMBER_ZH[n]}行内容（不算表头）。"
    else:
        prompt = f"Present {name} as a Markdown table of two columns with the headers \"{head[0]}\" and \"{head[1]}\" and exactly {NUMBER_EN[n]} rows below the header."
    rows = "\n".join(f"| {i + 1} | {x} |" for i, x in enumerate(s[:n]))
    return prompt, [order("table", columns=head, rows=n)], f"| {head[0]} | {head[1]} |\n| --- | --- |\n{rows}"


def postscript(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    if zh:
        return (
            f"给朋友写一张关于{name}的便条，正文不超过60个字，最后另起一行以“附：”开头写一句补充。",
            [order("characters", max=90), order("line-starts-with", text="附：")],
            f"你好！{s[0]}。{s[1]}。\n附：{s[2]}。",
        )
    return (
        f"Write a note to a friend about {name} of at most 50 words, and add a postscript on a line of its own that starts with \"P.S.\"",
        [order("words", max=50), order("line-starts-with", text="P.S.")],
        f"Hello! {s[0]}. {s[1]}.\nP.S. {s[2]}.",
    )


def two_answers(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    end = "。" if zh else "."
    prompt = (
        f"给出两个不同的关于{name}的句子，中间用单独一行的六个星号（******）隔开，别的什么都不要写。"
        if zh
        else f"Give two different sentences about {name}, separated by a line of six asterisks (******), and nothing else."
    )
    return prompt, [order("two-answers")], f"{s[0]}{end}\n******\n{s[1]}{end}"


def quoted(t, zh, n):
    s, name = (t[5], t[3]) if zh else (t[2], t[0])
    if zh:
        return (
            f"用一句不超过30个字的话评价{name}，整个回答放在中文双引号“”里。",
            [order("quoted"), order("characters", max=30), order("sentences", min=1, max=1)],
            f"“{s[0]}。”",
        )
    return (
        f"Say one sentence about {name} of at most 20 words, and wrap the entire answer in double quotation marks.",
        [order("quoted"), order("words", max=20), order("sentences", min=1, max=1)],
        f"\"{s[0]}.\"",
    )


KINDS = [bullets, sentences, lowercase, paragraphs, as_json, numbered, other_language, keywords, table, postscript, two_answers, quoted]


def items():
    for i, topic in enumerate(TOPICS):
        for j in range(4):
            kind = KINDS[(i + 3 * j + i // 12) % len(KINDS)]
            # paragraphs use one sentence more than they count.
            n = 2 + (i + j) % 3
            if kind in (paragraphs, bullets, numbered, table) and n == 2:
                n = 3
            for zh in (False, True):
                prompt, orders, answer = kind(topic, zh, n)
                language = "zh" if zh else "en"
                other = kind is other_language
                kin = KIN[topic[0]][zh] if kind is table else []
                yield {
                    "id": f"instructions-{language}-{4 * i + j + 1:03}",
                    "cluster": f"instructions-{4 * i + j + 1:03}",
                    "lang": language,
                    "subject": kind.__name__.replace("_", "-"),
                    "prompt": prompt,
                    "about": (topic[1] if zh == other else topic[4]) + kin,
                    "orders": orders,
                    "answer": answer,
                }


def main():
    text = "".join(json.dumps(item, ensure_ascii=False) + "\n" for item in items())
    path = pathlib.Path(__file__).parent / "instructions" / "items.jsonl"
    if "--check" in sys.argv:
        if path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} is not what this script writes")
        print(f"{path}: {text.count(chr(10))} items as written")
        return
    path.write_text(text, encoding="utf-8")
    print(f"wrote {text.count(chr(10))} items to {path}")


main()
