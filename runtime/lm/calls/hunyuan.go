package calls

// hunyuan is the format of Hunyuan A13B and of Jamba: a list between marks.
var hunyuan = Format{
	Name: "hunyuan_a13b", Template: []string{"<tool_calls>"}, Special: []string{"<tool_calls>", "</tool_calls>"},
	Open: []string{"<tool_calls>"}, Close: "</tool_calls>", parse: jsonCalls,
}
