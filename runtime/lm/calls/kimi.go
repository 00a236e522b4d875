package calls

import (
	"encoding/json"
	"strings"
)

// kimi is the format of Kimi K2: functions.name:number, then the arguments.
var kimi = Format{
	Name: "kimi_k2", Template: []string{"<|tool_calls_section_begin|>"},
	Special: []string{"<|tool_calls_section_begin|>", "<|tool_calls_section_end|>", "<|tool_call_begin|>", "<|tool_call_argument_begin|>", "<|tool_call_end|>"},
	Open:    []string{"<|tool_calls_section_begin|>"}, Close: "<|tool_calls_section_end|>", parse: kimiCalls,
}

func kimiCalls(body string) (list []Call, ok bool) {
	for part := range strings.SplitSeq(body, "<|tool_call_begin|>") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		part, _, _ = strings.Cut(part, "<|tool_call_end|>")
		id, args, found := strings.Cut(part, "<|tool_call_argument_begin|>")
		name, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimSpace(id), "functions."), ":")
		text, good := object(json.RawMessage(args))
		if !found || !good || name == "" {
			return nil, false
		}
		list = append(list, Call{name, text})
	}
	return list, true
}
