package calls

// llama3 is the format of Llama 3.1 to 3.3: the answer is {"name": .., "parameters": ..}, several with semicolons between.
var llama3 = Format{
	Name: "llama3_json", Template: []string{"ipython"}, Special: []string{"<|python_tag|>"},
	Open: []string{"<|python_tag|>"}, Bare: []string{`{"name"`, `{"type": "function"`, `[{"name"`}, parse: jsonCalls,
}
