package calls

import "strings"

// formats are all, those first whose templates have the more telling words.
var formats = []*Format{
	{ // gpt-oss
		Name: "openai", Aliases: []string{"harmony"}, Template: []string{"<|channel|>", "<|message|>"}, Special: harmonyMarks, channels: true,
		Open: []string{"<|channel|>commentary to=functions."}, Frame: &Frame{Middle: " <|constrain|>json<|message|>"},
	},
	{ // DeepSeek V3 and R1: a kind, the name, the arguments as a block of code
		Name: "deepseek_v3", Template: []string{"<｜tool▁calls▁begin｜>", "```json"}, Special: deepSeekMarks,
		Open: []string{"<｜tool▁calls▁begin｜>"}, Close: "<｜tool▁calls▁end｜>",
		Frame: &Frame{Head: "<｜tool▁call▁begin｜>function<｜tool▁sep｜>", Middle: "\n```json\n", Tail: "\n```<｜tool▁call▁end｜>", Sep: "\n", Many: true},
	},
	{ // DeepSeek V3.1: the name, the arguments
		Name: "deepseek_v31", Template: []string{"<｜tool▁calls▁begin｜>"}, Special: deepSeekMarks,
		Open: []string{"<｜tool▁calls▁begin｜>"}, Close: "<｜tool▁calls▁end｜>",
		Frame: &Frame{Head: "<｜tool▁call▁begin｜>", Middle: "<｜tool▁sep｜>", Tail: "<｜tool▁call▁end｜>", Many: true},
	},
	{
		Name: "kimi_k2", Template: []string{"<|tool_calls_section_begin|>"},
		Special: []string{"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"},
		Open:    []string{"<|tool_calls_section_begin|>"}, Close: "<|tool_calls_section_end|>",
		Frame: &Frame{Head: "<|tool_call_begin|>functions.", Middle: ":" + Number + " <|tool_call_argument_begin|> ", Tail: " <|tool_call_end|>", Many: true},
	},
	{
		Name: "minimax_m2", Template: []string{"<minimax:tool_call>"}, Special: []string{"<minimax:tool_call>", "</minimax:tool_call>"},
		Open: []string{"<minimax:tool_call>"}, Close: "</minimax:tool_call>",
		Frame: &Frame{Head: "\n<invoke name=\"", Middle: "\">\n", Tail: "</invoke>\n", Many: true, Pairs: &Pairs{"<parameter name=\"", "\">", "", "</parameter>\n"}},
	},
	{
		Name: "seed_oss", Template: []string{"<seed:tool_call>"}, Special: []string{"<seed:tool_call>", "</seed:tool_call>"},
		Open: []string{"<seed:tool_call>"}, Close: "</seed:tool_call>", Frame: functionTags,
	},
	{
		Name: "qwen3_coder", Aliases: []string{"qwen3_xml", "mimo"}, Template: []string{"<tool_call>", "<function="}, Special: toolCallMarks,
		Open: toolCallMarks[:1], Close: toolCallMarks[1], Frame: functionTags,
	},
	{ // GLM-4.5 and later: the name, then keys and values in turns
		Name: "glm45", Aliases: []string{"glm47"}, Template: []string{"<tool_call>", "<arg_key>"}, Special: toolCallMarks,
		Open: toolCallMarks[:1], Close: toolCallMarks[1],
		Frame: &Frame{Head: "\n", Middle: "\n", Pairs: &Pairs{"<arg_key>", "</arg_key>\n", "<arg_value>", "</arg_value>\n"}},
	},
	{ // a list between marks
		Name: "hunyuan_a13b", Aliases: []string{"jamba"}, Template: []string{"<tool_calls>"}, Special: []string{"<tool_calls>", "</tool_calls>"},
		Open: []string{"<tool_calls>"}, Close: "</tool_calls>", Frame: listed, parse: jsonCalls,
	},
	{
		Name: "longcat", Template: []string{"<longcat_tool_call>"}, Special: []string{"<longcat_tool_call>", "</longcat_tool_call>"},
		Open: []string{"<longcat_tool_call>"}, Close: "</longcat_tool_call>", Frame: single, parse: jsonCalls,
	},
	{ // Hermes 2 and 3, Qwen 2.5 and 3, and many that learned from them
		Name: "hermes", Aliases: []string{"granite4", "ernie45"}, Template: []string{"<tool_call>"}, Special: toolCallMarks,
		Open: toolCallMarks[:1], Close: toolCallMarks[1], Frame: single, parse: jsonCalls,
	},
	{ // Mistral's newer models: name[ARGS]{..}, each behind its own mark
		Name: "mistral", Template: []string{"[TOOL_CALLS]", "[ARGS]"}, Special: mistralMarks,
		Open: []string{"[TOOL_CALLS]"}, Frame: &Frame{Middle: "[ARGS]", Sep: "[TOOL_CALLS]", Many: true}, parse: mistralCalls,
	},
	{
		Name: "mistral", Template: []string{"[TOOL_CALLS]"}, Special: mistralMarks,
		Open: []string{"[TOOL_CALLS]"}, Frame: listed, parse: mistralCalls,
	},
	{ // Command R7B and Command A
		Name: "cohere_command3", Aliases: []string{"command"}, Template: []string{"<|START_ACTION|>"}, Special: []string{"<|START_ACTION|>", "<|END_ACTION|>"},
		Open: []string{"<|START_ACTION|>"}, Close: "<|END_ACTION|>",
		Frame: &Frame{Begin: "[\n    ", Head: `{"tool_call_id": "` + Number + `", "tool_name": "`, Middle: `", "parameters": `, Tail: "}", Sep: ",\n    ", End: "\n]", Many: true},
		parse: func(body string) ([]Call, bool) { return namedCalls(body, "tool_name") },
	},
	{ // Phi-4-mini: a list between marks, or behind the word functools
		Name: "phi4_mini_json", Template: []string{"<|/tool_call|>"}, Special: []string{"<|tool_call|>", "<|/tool_call|>"},
		Open: []string{"<|tool_call|>", "functools"}, Close: "<|/tool_call|>", Frame: listed,
		parse: func(body string) ([]Call, bool) { return jsonCalls(strings.TrimPrefix(body, "functools")) },
	},
	{
		Name: "granite", Template: []string{"<|tool_call|>"}, Special: []string{"<|tool_call|>"},
		Open: []string{"<|tool_call|>"}, Frame: listed, parse: jsonCalls,
	},
	{
		Name: "internlm", Template: []string{"<|action_start|>"}, Special: []string{"<|action_start|>", "<|action_end|>", "<|plugin|>"},
		Open: []string{"<|action_start|><|plugin|>", "<|action_start|> <|plugin|>"}, Close: "<|action_end|>",
		Frame: &Frame{Head: "\n{\"name\": \"", Middle: `", "parameters": `, Tail: "}\n"}, parse: jsonCalls,
	},
	{ // Llama 4 and others that write calls as Python: [f(a=1, b="x"), g()]
		Name: "llama4_pythonic", Template: []string{"<|python_start|>"}, Special: []string{"<|python_start|>", "<|python_end|>"},
		Open: []string{"<|python_start|>"}, Close: "<|python_end|>", Bare: []string{"["}, parse: pythonCalls,
	},
	{Name: "pythonic", Bare: []string{"["}, parse: pythonCalls},
	{
		Name: "olmo3", Template: []string{"<function_calls>"}, Special: []string{"<function_calls>", "</function_calls>"},
		Open: []string{"<function_calls>"}, Close: "</function_calls>", parse: pythonLines,
	},
	{ // Llama 3.1 to 3.3: the answer is {"name": .., "parameters": ..}, several with semicolons between
		Name: "llama3_json", Aliases: []string{"llama4_json"}, Template: []string{"ipython"}, Special: []string{"<|python_tag|>"},
		Open: []string{"<|python_tag|>"}, Bare: []string{`{"name"`, `{"type": "function"`, `[{"name"`},
		Frame: &Frame{Head: `{"name": "`, Middle: `", "parameters": `, Tail: "}", Sep: "; ", Many: true}, parse: jsonCalls,
	},
	{Name: "xlam", Bare: []string{`[{"name"`}, Frame: listed, parse: jsonCalls},
}

// List is the format of models of which none is known: the whole answer is a list of calls.
var List = &Format{Name: "list", Bare: []string{"["}, Frame: listed, parse: jsonCalls}

var (
	listed       = &Frame{Begin: "[", Head: `{"name": "`, Middle: `", "arguments": `, Tail: "}", Sep: ", ", End: "]", Many: true}
	single       = &Frame{Head: "\n{\"name\": \"", Middle: `", "arguments": `, Tail: "}\n"}
	functionTags = &Frame{Head: "\n<function=", Middle: ">\n", Tail: "</function>\n", Pairs: &Pairs{"<parameter=", ">", "\n", "\n</parameter>\n"}}

	toolCallMarks = []string{"<tool_call>", "</tool_call>"}
	mistralMarks  = []string{"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]"}
	deepSeekMarks = []string{"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"}
	harmonyMarks  = []string{"<|start|>", "<|end|>", "<|message|>", "<|channel|>", "<|constrain|>", "<|call|>", "<|return|>"}
)

// reasonings are all, those first whose templates have the more telling words.
var reasonings = []*Reasoning{
	{Name: "openai_gptoss", Template: []string{"<|channel|>analysis"}, Special: harmonyMarks, channels: true},
	{Name: "mistral", Template: []string{"[THINK]"}, Open: "[THINK]", Close: "[/THINK]", Special: []string{"[THINK]", "[/THINK]"}},
	{Name: "seed_oss", Template: []string{"<seed:think>"}, Open: "<seed:think>", Close: "</seed:think>", Special: []string{"<seed:think>", "</seed:think>"}},
	{Name: "cohere_command3", Template: []string{"<|START_THINKING|>"}, Open: "<|START_THINKING|>", Close: "<|END_THINKING|>", Special: []string{"<|START_THINKING|>", "<|END_THINKING|>"}},
	{Name: "granite", Template: []string{"Here is my thought process:"}, Open: "Here is my thought process:", Close: "Here is my response:"},
	{
		Name: "qwen3", Aliases: []string{"deepseek_v3", "glm45", "glm47", "holo2", "kimi_k2", "mimo", "nemotron_v3", "olmo3"},
		Template: []string{"<think>", "</think>"}, Open: "<think>", Close: "</think>", Special: thinkMarks,
	},
	{Name: "deepseek_r1", Aliases: []string{"minimax_m2", "step3"}, Open: "<think>", Close: "</think>", Special: thinkMarks, Inside: true},
}

var thinkMarks = []string{"<think>", "</think>"}
