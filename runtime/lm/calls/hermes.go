package calls

// hermes is the format of Hermes 2 and 3, Qwen 2.5 and 3, and of many that learned from them.
var hermes = Format{
	Name: "hermes", Template: []string{"<tool_call>"}, Special: []string{"<tool_call>", "</tool_call>"},
	Open: []string{"<tool_call>"}, Close: "</tool_call>", parse: jsonCalls,
}
