package calls

// qwenCoder is the format of Qwen3-Coder: <function=name>, then <parameter=key> with a value each.
var qwenCoder = Format{
	Name: "qwen3_coder", Template: []string{"<tool_call>", "<function="}, Special: hermes.Special,
	Open: hermes.Open, Close: hermes.Close, parse: functionTags.calls,
}

var functionTags = tagged{head: "<function=", nameEnd: ">", tail: "</function>", key: "<parameter=", keyEnd: ">", valueEnd: "</parameter>"}
