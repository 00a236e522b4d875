package calls

import (
	"encoding/json"
	"strings"
)

// deepSeek is the format of DeepSeek V3 and R1 (a kind, the name, the arguments as a block of code) and of V3.1 (the
// name, the arguments).
var deepSeek = Format{
	Name: "deepseek", Template: []string{"<｜tool▁calls▁begin｜>"},
	Special: []string{"<｜tool▁calls▁begin｜>", "<｜tool▁calls▁end｜>", "<｜tool▁call▁begin｜>", "<｜tool▁call▁end｜>", "<｜tool▁sep｜>"},
	Open:    []string{"<｜tool▁calls▁begin｜>"}, Close: "<｜tool▁calls▁end｜>", parse: deepSeekCalls,
}

func deepSeekCalls(body string) (list []Call, ok bool) {
	for part := range strings.SplitSeq(body, "<｜tool▁call▁begin｜>") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		part, _, _ = strings.Cut(part, "<｜tool▁call▁end｜>")
		name, args, found := strings.Cut(part, "<｜tool▁sep｜>")
		if before, code, fenced := strings.Cut(args, "```json"); fenced {
			name = before // what stood before it is the kind: function
			if args, _, found = strings.Cut(code, "```"); !found {
				return nil, false
			}
		}
		text, good := object(json.RawMessage(args))
		if name = strings.TrimSpace(name); !found || !good || name == "" {
			return nil, false
		}
		list = append(list, Call{name, text})
	}
	return list, true
}
