package serve

import (
	"encoding/json"
	"strings"
)

// message is one of a conversation, as OpenAI's clients write it and as chat templates read it.
type message struct {
	Role      string          `json:"role"`
	Content   json.RawMessage `json:"content"`
	Name      string          `json:"name,omitempty"`
	ToolCalls []toolCall      `json:"tool_calls,omitempty"`
	CallID    string          `json:"tool_call_id,omitempty"`
	Reasoning string          `json:"reasoning_content,omitempty"`
	Refusal   string          `json:"refusal,omitempty"`
	Function  *function       `json:"function_call,omitempty"` // a call, before there were several
}

// toolCall is a call of a function by the model.
type toolCall struct {
	Index    *int     `json:"index,omitempty"` // in streams
	ID       string   `json:"id,omitempty"`
	Type     string   `json:"type,omitempty"`
	Function function `json:"function"`
}

type function struct {
	Name      string          `json:"name,omitempty"`
	Arguments json.RawMessage `json:"arguments"`
}

var roles = map[string]string{"system": "system", "developer": "system", "user": "user", "assistant": "assistant", "tool": "tool", "function": "tool"}

// readMessages checks the messages of a chat and brings them into the form that templates know: contents are texts,
// arguments of calls objects where they are.
func readMessages(raw json.RawMessage) ([]message, error) {
	var items []json.RawMessage
	if err := json.Unmarshal(raw, &items); err != nil || len(items) == 0 {
		return nil, refuse("messages", "messages must be a list of at least one message")
	}
	list := make([]message, len(items))
	for i, item := range items {
		m := &list[i]
		if err := decode(item, m); err != nil {
			return nil, refuse("messages", "message %d: %s", i, err)
		}
		role, known := roles[m.Role]
		if !known {
			return nil, refuse("messages", "message %d: role %.40q: must be system, developer, user, assistant or tool", i, m.Role)
		}
		m.Role = role
		text, err := textOf(m.Content)
		if err != nil {
			return nil, refuse("messages", "message %d: %s", i, err)
		}
		if m.Content == nil && role != "assistant" {
			return nil, refuse("messages", "message %d: content is missing", i)
		}
		if text == "" {
			text = m.Refusal
		}
		if m.Function != nil {
			m.ToolCalls = append(m.ToolCalls, toolCall{Type: "function", Function: *m.Function})
		}
		m.Refusal, m.Function = "", nil
		if m.Content, err = json.Marshal(text); err != nil {
			return nil, err
		}
		for j := range m.ToolCalls {
			f := &m.ToolCalls[j].Function
			if f.Name == "" {
				return nil, refuse("messages", "message %d: call %d names no function", i, j)
			}
			var text string
			if json.Unmarshal(f.Arguments, &text) == nil {
				if o := strings.TrimSpace(text); strings.HasPrefix(o, "{") && json.Valid([]byte(o)) {
					f.Arguments = json.RawMessage(o)
				}
			}
			if f.Arguments == nil {
				f.Arguments = json.RawMessage("{}")
			}
		}
	}
	return list, nil
}

// textOf is the text of a content: a text, or a list of parts that are texts.
func textOf(content json.RawMessage) (string, error) {
	var text string
	if content == nil || json.Unmarshal(content, &text) == nil {
		return text, nil
	}
	var parts []struct {
		Type    string  `json:"type"`
		Text    *string `json:"text"`
		Refusal *string `json:"refusal"`
	}
	if err := json.Unmarshal(content, &parts); err != nil {
		return "", refuse("", "content must be a text or a list of parts")
	}
	for _, p := range parts {
		switch p.Type {
		case "text", "input_text", "output_text":
		case "refusal":
			p.Text = p.Refusal
		default:
			return "", refuse("", "a part of type %.40q is not supported: only texts are", p.Type)
		}
		if p.Text == nil {
			return "", refuse("", "a part of type %q has no text", p.Type)
		}
		text += *p.Text
	}
	return text, nil
}
