package calls

// miniMax is the format of MiniMax-M2.
var miniMax = Format{
	Name: "minimax_m2", Template: []string{"<minimax:tool_call>"}, Special: []string{"<minimax:tool_call>", "</minimax:tool_call>"},
	Open: []string{"<minimax:tool_call>"}, Close: "</minimax:tool_call>",
	parse: tagged{head: "<invoke name=", nameEnd: ">", tail: "</invoke>", key: "<parameter name=", keyEnd: ">", valueEnd: "</parameter>"}.calls,
}
