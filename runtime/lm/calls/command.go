package calls

// command is the format of Command R7B and Command A.
var command = Format{
	Name: "command", Template: []string{"<|START_ACTION|>"}, Special: []string{"<|START_ACTION|>", "<|END_ACTION|>", "<|START_THINKING|>", "<|END_THINKING|>"},
	Open: []string{"<|START_ACTION|>"}, Close: "<|END_ACTION|>", think: [2]string{"<|START_THINKING|>", "<|END_THINKING|>"},
	parse: func(body string) ([]Call, bool) { return namedCalls(body, "tool_name") },
}
