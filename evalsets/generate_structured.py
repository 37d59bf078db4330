"""Writes evalsets/structured/items.jsonl: facts of a text as JSON by a schema, and calls of the right tool, English and Chinese.

    python3 evalsets/generate_structured.py           writes the file
    python3 evalsets/generate_structured.py --check   fails unless the file is what this writes

Right by construction: text and key are made from the same values. All texts were written for Ballast; the names are invented.
"""

import json
import pathlib
import sys

ORDERS = [  # customer, city, item, count, price of one
    ("Mira Lund", "Oslo", "lamp", 3, 40), ("Tomas Reyes", "Lima", "chair", 2, 75), ("Aiko Mori", "Kyoto", "teapot", 5, 18),
    ("Dana Weiss", "Graz", "notebook", 12, 4), ("Pavel Novak", "Brno", "blanket", 4, 32), ("Lena Ortiz", "Cusco", "basket", 6, 15),
    ("Omar Haddad", "Tunis", "mirror", 1, 90), ("Ines Costa", "Porto", "plate", 8, 11), ("Nils Berg", "Malmo", "candle", 20, 3),
    ("Ruth Cole", "Leeds", "kettle", 2, 45),
]
ORDERS_ZH = [
    ("林小雨", "杭州", "台灯", 3, 40), ("王建国", "成都", "椅子", 2, 75), ("陈思源", "厦门", "茶壶", 5, 18), ("赵明", "西安", "笔记本", 12, 4),
    ("孙丽", "昆明", "毛毯", 4, 32), ("周强", "长沙", "篮子", 6, 15), ("吴芳", "大连", "镜子", 1, 90), ("郑浩", "桂林", "盘子", 8, 11),
    ("冯雪", "洛阳", "蜡烛", 20, 3), ("何静", "南京", "水壶", 2, 45),
]
EVENTS = [  # title, day, start, end, room
    ("budget review", "Monday", "09:30", "10:15", "B12"), ("choir practice", "Tuesday", "18:00", "19:30", "A3"),
    ("safety training", "Wednesday", "13:00", "14:00", "C7"), ("book club", "Thursday", "20:00", "21:00", "D1"),
    ("hiring panel", "Friday", "11:00", "12:30", "B4"), ("chess evening", "Saturday", "17:15", "19:00", "A9"),
    ("garden meeting", "Sunday", "10:00", "10:45", "E2"), ("design critique", "Monday", "15:30", "16:30", "C1"),
]
EVENTS_ZH = [
    ("预算会议", "星期一", "09:30", "10:15", "B12"), ("合唱排练", "星期二", "18:00", "19:30", "A3"), ("安全培训", "星期三", "13:00", "14:00", "C7"),
    ("读书会", "星期四", "20:00", "21:00", "D1"), ("招聘面谈", "星期五", "11:00", "12:30", "B4"), ("象棋之夜", "星期六", "17:15", "19:00", "A9"),
    ("园艺会议", "星期日", "10:00", "10:45", "E2"), ("设计评审", "星期一", "15:30", "16:30", "C1"),
]
PEOPLE = [  # name, age, languages, member
    ("Sana", 31, ["Arabic", "French"], True), ("Bruno", 45, ["Italian"], False), ("Yuki", 27, ["Japanese", "Korean", "English"], True),
    ("Petra", 52, ["Czech", "German"], False), ("Kofi", 38, ["Twi", "English"], True), ("Elif", 24, ["Turkish"], True),
    ("Marek", 60, ["Polish", "Russian"], False), ("Noor", 33, ["Urdu", "Hindi", "Persian"], True),
]
PEOPLE_ZH = [
    ("小艾", 31, ["阿拉伯语", "法语"], True), ("阿布", 45, ["意大利语"], False), ("小雪", 27, ["日语", "韩语", "英语"], True),
    ("佩佩", 52, ["捷克语", "德语"], False), ("阿科", 38, ["泰语", "英语"], True), ("小丽", 24, ["土耳其语"], True),
    ("马克", 60, ["波兰语", "俄语"], False), ("诺诺", 33, ["乌尔都语", "印地语", "波斯语"], True),
]
STOCK = [  # (item, count) threes
    [("nails", 200), ("screws", 150), ("bolts", 75)], [("apples", 12), ("pears", 7), ("plums", 30)], [("cups", 24), ("bowls", 18), ("spoons", 60)],
    [("tents", 5), ("ropes", 9), ("maps", 14)], [("pens", 40), ("rulers", 16), ("erasers", 22)], [("shirts", 8), ("socks", 26), ("scarves", 3)],
]
STOCK_ZH = [
    [("钉子", 200), ("螺丝", 150), ("螺栓", 75)], [("苹果", 12), ("梨", 7), ("李子", 30)], [("杯子", 24), ("碗", 18), ("勺子", 60)],
    [("帐篷", 5), ("绳子", 9), ("地图", 14)], [("钢笔", 40), ("尺子", 16), ("橡皮", 22)], [("衬衫", 8), ("袜子", 26), ("围巾", 3)],
]
TOOLS = [
    ("get_weather", {"city": "string", "day": "today or tomorrow"}, "weather forecast of a city"),
    ("convert_currency", {"amount": "number", "from": "three-letter code", "to": "three-letter code"}, "convert money"),
    ("set_timer", {"minutes": "integer"}, "start a countdown"),
    ("send_message", {"to": "string", "text": "string"}, "send a short message to a contact"),
    ("search_flights", {"from": "city", "to": "city", "passengers": "integer"}, "find flights"),
    ("play_music", {"artist": "string"}, "play songs of an artist"),
]
ANY = {"$type": "string"}
# request in English, in Chinese, tool, arguments in English, in Chinese
CALLS = [
    ("Will I need an umbrella in Lisbon tomorrow?", "明天里斯本要带伞吗？", "get_weather", {"city": "Lisbon", "day": "tomorrow"}, {"city": "里斯本", "day": "tomorrow"}),
    ("How hot is it in Cairo today?", "今天开罗有多热？", "get_weather", {"city": "Cairo", "day": "today"}, {"city": "开罗", "day": "today"}),
    ("What will the sky look like over Hanoi tomorrow?", "明天河内天气怎么样？", "get_weather", {"city": "Hanoi", "day": "tomorrow"}, {"city": "河内", "day": "tomorrow"}),
    ("Is it snowing in Harbin today?", "今天哈尔滨下雪吗？", "get_weather", {"city": "Harbin", "day": "today"}, {"city": "哈尔滨", "day": "today"}),
    ("How many US dollars are 250 euros (EUR to USD)?", "250 欧元（EUR）等于多少美元（USD）？", "convert_currency", {"amount": 250, "from": "EUR", "to": "USD"}, None),
    ("I have 9000 yen (JPY). What is that in pounds (GBP)?", "我有 9000 日元（JPY），换成英镑（GBP）是多少？", "convert_currency", {"amount": 9000, "from": "JPY", "to": "GBP"}, None),
    ("Change 75.5 Swiss francs (CHF) into euros (EUR), please.", "请把 75.5 瑞士法郎（CHF）换成欧元（EUR）。", "convert_currency", {"amount": 75.5, "from": "CHF", "to": "EUR"}, None),
    ("What are 1200 yuan (CNY) worth in US dollars (USD)?", "1200 人民币（CNY）值多少美元（USD）？", "convert_currency", {"amount": 1200, "from": "CNY", "to": "USD"}, None),
    ("Remind me when the eggs are done: 8 minutes from now.", "煮鸡蛋，8 分钟后提醒我。", "set_timer", {"minutes": 8}, None),
    ("Start a countdown of a quarter of an hour.", "开始一刻钟的倒计时。", "set_timer", {"minutes": 15}, None),
    ("Give me an hour and a half, then ring.", "一个半小时后响铃。", "set_timer", {"minutes": 90}, None),
    ("Two minutes for the tea, starting now.", "泡茶两分钟，现在开始计时。", "set_timer", {"minutes": 2}, None),
    ("Text Maya that I am running late.", "给小美发消息说我要迟到了。", "send_message", {"to": "Maya", "text": {"$contains": "late"}}, {"to": "小美", "text": {"$contains": "迟到"}}),
    ("Let Jonas know that dinner is at seven.", "告诉老王晚饭七点开始。", "send_message", {"to": "Jonas", "text": {"$contains": "dinner"}}, {"to": "老王", "text": {"$contains": "晚饭"}}),
    ("Write to Priya: the keys are under the mat.", "发给小李：钥匙在垫子下面。", "send_message", {"to": "Priya", "text": {"$contains": "keys"}}, {"to": "小李", "text": {"$contains": "钥匙"}}),
    ("Tell Oskar to bring the blue folder.", "叫阿强带上蓝色文件夹。", "send_message", {"to": "Oskar", "text": {"$contains": "blue folder"}}, {"to": "阿强", "text": {"$contains": "蓝色文件夹"}}),
    ("We are two people and want to fly from Rome to Athens.", "我们两个人想从罗马飞到雅典。", "search_flights", {"from": "Rome", "to": "Athens", "passengers": 2}, {"from": "罗马", "to": "雅典", "passengers": 2}),
    ("Find me a flight from Seoul to Osaka, just for myself.", "帮我一个人找从首尔到大阪的航班。", "search_flights", {"from": "Seoul", "to": "Osaka", "passengers": 1}, {"from": "首尔", "to": "大阪", "passengers": 1}),
    ("Our family of five needs to get from Toronto to Havana by air.", "我们一家五口要从多伦多坐飞机去哈瓦那。", "search_flights", {"from": "Toronto", "to": "Havana", "passengers": 5}, {"from": "多伦多", "to": "哈瓦那", "passengers": 5}),
    ("Three tickets to Nairobi from Paris, please.", "三张从巴黎到内罗毕的机票，谢谢。", "search_flights", {"from": "Paris", "to": "Nairobi", "passengers": 3}, {"from": "巴黎", "to": "内罗毕", "passengers": 3}),
    ("Put on something by Nina Simone.", "放点妮娜·西蒙的歌。", "play_music", {"artist": "Nina Simone"}, {"artist": {"$any": ["妮娜·西蒙", "妮娜西蒙", "Nina Simone"]}}),
    ("I feel like listening to Bach.", "我想听巴赫。", "play_music", {"artist": {"$contains": "Bach"}}, {"artist": {"$contains": "巴赫"}}),
    ("Play the Beatles for me.", "给我放披头士的歌。", "play_music", {"artist": {"$contains": "Beatles"}}, {"artist": {"$contains": "披头士"}}),
    ("Some Teresa Teng would be lovely now.", "现在来点邓丽君吧。", "play_music", {"artist": "Teresa Teng"}, {"artist": "邓丽君"}),
    ("What is the square root of 81?", "81 的平方根是多少？", None, None, None),
    ("Who wrote the play Hamlet?", "《哈姆雷特》是谁写的？", None, None, None),
    ("Explain in a sentence why bread rises.", "用一句话解释面包为什么会发起来。", None, None, None),
    ("Translate 'good night' into Spanish.", "把“晚安”翻译成西班牙语。", None, None, None),
    ("Which is longer, a metre or a yard?", "一米和一码哪个长？", None, None, None),
    ("Is a whale a fish?", "鲸是鱼吗？", None, None, None),
]


def dump(value):
    return json.dumps(value, ensure_ascii=False)


def concrete(expected):
    """A right value for an expected one."""
    if isinstance(expected, dict):
        if "$any" in expected:
            return concrete(expected["$any"][0])
        if "$set" in expected:
            return [concrete(entry) for entry in expected["$set"]]
        if "$contains" in expected:
            return expected["$contains"]
        return {key: concrete(value) for key, value in expected.items()}
    return [concrete(entry) for entry in expected] if isinstance(expected, list) else expected


def extraction():
    for i, ((name, city, item, count, price), (name_z, city_z, item_z, _, _)) in enumerate(zip(ORDERS, ORDERS_ZH)):
        plural = item if count == 1 else f"{item}s"
        text = f"{name} from {city} ordered {count} {plural} at {price} euros each."
        schema = '{"customer": string, "city": string, "item": string (singular), "count": integer, "total": number (euros, for all of them)}'
        total = count * price
        yield (
            "order", i,
            f"{text}\nGive the order as one JSON object of the form {schema}. Output JSON only.",
            {"customer": name, "city": city, "item": item, "count": count, "total": total},
            f"{city_z}的{name_z}订购了{count}件{item_z}，每件{price}欧元。\n请把订单写成一个 JSON 对象，形式为 {{\"customer\": 字符串, \"city\": 字符串, \"item\": 字符串, \"count\": 整数, \"total\": 数字（全部的总价，欧元）}}。只输出 JSON。",
            {"customer": name_z, "city": city_z, "item": item_z, "count": count, "total": total},
        )
    for i, ((title, day, start, end, room), (title_z, day_z, _, _, _)) in enumerate(zip(EVENTS, EVENTS_ZH)):
        yield (
            "event", i,
            f"The {title} is on {day} from {start} to {end} in room {room}.\nGive it as one JSON object with the keys \"title\" (without article), \"day\", \"start\", \"end\" and \"room\", all strings as they stand in the text. Output JSON only.",
            {"title": title, "day": day, "start": start, "end": end, "room": room},
            f"{title_z}在{day_z} {start} 到 {end}，地点是 {room} 室。\n请写成一个 JSON 对象，键为 \"title\"、\"day\"、\"start\"、\"end\"、\"room\"，值为文中的字符串，room 只写编号。只输出 JSON。",
            {"title": title_z, "day": day_z, "start": start, "end": end, "room": room},
        )
        yield (
            "event-list", i,
            f"On {day} there are two appointments: {title} at {start} and tidying up at {end}.\nGive them as a JSON array of objects with the keys \"title\" and \"time\", in the order of the text. Output JSON only.",
            [{"title": title, "time": start}, {"title": "tidying up", "time": end}],
            f"{day_z}有两件事：{start} 的{title_z}和 {end} 的打扫。\n请写成 JSON 数组，每个元素是含 \"title\" 和 \"time\" 的对象，按文中的顺序。只输出 JSON。",
            [{"title": title_z, "time": start}, {"title": "打扫", "time": end}],
        )
    for i, ((name, age, languages, member), (name_z, _, languages_z, _)) in enumerate(zip(PEOPLE, PEOPLE_ZH)):
        is_member = "is a member" if member else "is not a member"
        yield (
            "person", i,
            f"{name}, {age}, speaks {', '.join(languages)} and {is_member} of the club.\nGive this as one JSON object with the keys \"name\" (string), \"age\" (integer), \"languages\" (array of strings) and \"member\" (boolean). Output JSON only.",
            {"name": name, "age": age, "languages": {"$set": languages}, "member": member},
            f"{name_z}今年{age}岁，会说{'、'.join(languages_z)}，{'是' if member else '不是'}俱乐部会员。\n请写成一个 JSON 对象，键为 \"name\"（字符串）、\"age\"（整数）、\"languages\"（字符串数组）、\"member\"（布尔值）。只输出 JSON。",
            {"name": name_z, "age": age, "languages": {"$set": languages_z}, "member": member},
        )
    for i, (stock, stock_z) in enumerate(zip(STOCK, STOCK_ZH)):
        text = ", ".join(f"{count} {item}" for item, count in stock)
        text_z = "、".join(f"{count}个{item}" for item, count in stock_z)
        most, most_z = max(stock, key=lambda pair: pair[1])[0], max(stock_z, key=lambda pair: pair[1])[0]
        yield (
            "stock", i,
            f"In the store there are {text}.\nGive one JSON object that maps each kind to its number. Output JSON only.",
            {item: count for item, count in stock},
            f"仓库里有{text_z}。\n请写成一个 JSON 对象，把每种东西对应到它的数量。只输出 JSON。",
            {item: count for item, count in stock_z},
        )
        yield (
            "stock-most", i,
            f"In the store there are {text}.\nGive one JSON object with the keys \"most\" (the kind there is most of) and \"total\" (the number of all pieces). Output JSON only.",
            {"most": most, "total": sum(count for _, count in stock)},
            f"仓库里有{text_z}。\n请写成一个 JSON 对象，键为 \"most\"（数量最多的东西）和 \"total\"（所有东西的总数）。只输出 JSON。",
            {"most": most_z, "total": sum(count for _, count in stock_z)},
        )


def calls():
    listed = "\n".join(f"- {name}{dump(arguments)}: {what}" for name, arguments, what in TOOLS)
    for i, (request, request_z, tool, arguments, arguments_z) in enumerate(CALLS):
        expected = {"name": tool, "arguments": arguments} if tool else {"$any": [{"name": None}, {"name": None, "arguments": {}}, {"name": None, "arguments": None}]}
        expected_z = {"name": tool, "arguments": arguments_z or arguments} if tool else {"$any": [{"name": None}, {"name": None, "arguments": {}}, {"name": None, "arguments": None}]}
        yield (
            "call" if tool else "no-call", i,
            f"You can call these tools:\n{listed}\nAnswer with one JSON object: {{\"name\": TOOL, \"arguments\": {{...}}}} for the tool that the request needs, with all of its arguments, or {{\"name\": null}} if none fits. Output JSON only.\nRequest: {request}",
            expected,
            f"你可以调用这些工具：\n{listed}\n请用一个 JSON 对象回答：需要某个工具时写 {{\"name\": 工具名, \"arguments\": {{...}}}}，并给出它的全部参数（城市、人名用请求里的写法；day 用 today 或 tomorrow）；都不合适时写 {{\"name\": null}}。只输出 JSON。\n请求：{request_z}",
            expected_z,
        )


def items():
    for subject, i, prompt, expected, prompt_z, expected_z in [*extraction(), *calls()]:
        for language, text, key in (("en", prompt, expected), ("zh", prompt_z, expected_z)):
            yield {
                "id": f"structured-{subject}-{language}-{i + 1:02}",
                "cluster": f"structured-{subject}-{i + 1:02}",
                "lang": language,
                "subject": subject,
                "prompt": text,
                "expected": key,
                "answer": dump(concrete(key)),
            }


def main():
    text = "".join(dump(item) + "\n" for item in items())
    path = pathlib.Path(__file__).parent / "structured" / "items.jsonl"
    if "--check" in sys.argv:
        if path.read_text(encoding="utf-8") != text:
            sys.exit(f"{path} is not what this script writes")
        print(f"{path}: {text.count(chr(10))} items as written")
        return
    path.write_text(text, encoding="utf-8")
    print(f"wrote {text.count(chr(10))} items to {path}")


main()
