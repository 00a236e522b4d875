package calls

// seed is the format of Seed-OSS, whose reasoning has marks of its own.
var seed = Format{
	Name: "seed_oss", Template: []string{"<seed:tool_call>"}, Special: []string{"<seed:tool_call>", "</seed:tool_call>", "<seed:think>", "</seed:think>"},
	Open: []string{"<seed:tool_call>"}, Close: "</seed:tool_call>", parse: functionTags.calls, think: [2]string{"<seed:think>", "</seed:think>"},
}
