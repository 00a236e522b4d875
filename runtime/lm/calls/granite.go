package calls

import "strings"

// granite is the format of Granite 3.
var granite = Format{
	Name: "granite", Template: []string{"<|tool_call|>"}, Special: []string{"<|tool_call|>"},
	Open: []string{"<|tool_call|>"}, parse: jsonCalls,
}

// phi4 is the format of Phi-4-mini: a list between marks, or behind the word functools.
var phi4 = Format{
	Name: "phi4_mini_json", Template: []string{"<|/tool_call|>"}, Special: []string{"<|tool_call|>", "<|/tool_call|>"},
	Open: []string{"<|tool_call|>", "functools"}, Close: "<|/tool_call|>",
	parse: func(body string) ([]Call, bool) { return jsonCalls(strings.TrimPrefix(body, "functools")) },
}
