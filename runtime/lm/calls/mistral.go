package calls

import (
	"encoding/json"
	"strings"
)

// mistral is the format of Mistral's models: a list behind [TOOL_CALLS], or, of newer ones, name[ARGS]{..} each behind its own mark.
var mistral = Format{
	Name: "mistral", Template: []string{"[TOOL_CALLS]"}, Special: []string{"[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[THINK]", "[/THINK]"},
	Open: []string{"[TOOL_CALLS]"}, parse: mistralCalls, think: [2]string{"[THINK]", "[/THINK]"},
}

func mistralCalls(body string) (list []Call, ok bool) {
	if strings.HasPrefix(body, "[{") || strings.HasPrefix(body, "{") {
		return jsonCalls(body)
	}
	for part := range strings.SplitSeq(body, "[TOOL_CALLS]") {
		at := strings.IndexByte(part, '{')
		if at < 0 {
			return nil, false
		}
		name, _, _ := strings.Cut(strings.TrimSuffix(strings.TrimSpace(part[:at]), "[ARGS]"), "[CALL_ID]")
		args, ok := object(json.RawMessage(part[at:]))
		if name = strings.TrimSpace(name); !ok || name == "" {
			return nil, false
		}
		list = append(list, Call{name, args})
	}
	return list, true
}
