package calls

import "strings"

// glm is the format of GLM-4.5 and later: the name, then <arg_key> and <arg_value> in turns.
var glm = Format{
	Name: "glm45", Template: []string{"<tool_call>", "<arg_key>"}, Special: hermes.Special,
	Open: hermes.Open, Close: hermes.Close, parse: glmCall,
}

func glmCall(body string) ([]Call, bool) {
	at := strings.Index(body, "<arg_key>")
	if at < 0 {
		at = len(body)
	}
	name := strings.TrimSpace(body[:at])
	args, ok := tagged{key: "<arg_key>", keyEnd: "</arg_key>", value: "<arg_value>", valueEnd: "</arg_value>"}.arguments(body[at:])
	return []Call{{name, args}}, ok && name != "" && !strings.ContainsAny(name, " \n{<")
}
