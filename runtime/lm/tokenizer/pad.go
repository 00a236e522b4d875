package tokenizer

import (
	"encoding/json"
	"fmt"
	"slices"
)

// Padding is the key of tokenizer.json.
type Padding struct {
	Strategy   padStrategy `json:"strategy"`
	Direction  string      `json:"direction,omitempty"` // Right (default): behind the tokens; Left
	MultipleOf int         `json:"pad_to_multiple_of,omitempty"`
	ID         int32       `json:"pad_id"`
	TypeID     int32       `json:"pad_type_id"`
	Token      string      `json:"pad_token"`
}

// padStrategy is the length to pad to, 0: that of the longest of a batch.
// Written "BatchLongest" or {"Fixed": length}.
type padStrategy int

func (s *padStrategy) UnmarshalJSON(data []byte) error {
	if string(data) == `"BatchLongest"` {
		*s = 0
		return nil
	}
	var o map[string]int
	if json.Unmarshal(data, &o) != nil || len(o) != 1 || o["Fixed"] < 1 {
		return fmt.Errorf("padding: strategy %.80s, must be \"BatchLongest\" or {\"Fixed\": length}", data)
	}
	*s = padStrategy(o["Fixed"])
	return nil
}

func (s padStrategy) MarshalJSON() ([]byte, error) {
	if s == 0 {
		return []byte(`"BatchLongest"`), nil
	}
	return json.Marshal(map[string]int{"Fixed": int(s)})
}

// maxPadding bounds a fixed length and the multiple, in tokens.
const maxPadding = 1 << 20

func (p *Padding) check() error {
	if p == nil {
		return nil
	}
	if p.Direction != "" && p.Direction != "Right" && p.Direction != "Left" {
		return unsupported("padding: direction %q", p.Direction)
	}
	if p.Strategy > maxPadding || p.MultipleOf < 0 || p.MultipleOf > maxPadding || p.ID < 0 || p.TypeID < 0 {
		return bad("padding: to %d tokens, a multiple of %d, by id %d of type %d", p.Strategy, p.MultipleOf, p.ID, p.TypeID)
	}
	return nil
}

// Padding is what tokenizer.json says of padding; false if it says nothing.
func (t *Tokenizer) Padding() (Padding, bool) {
	if t.cfg.Padding == nil {
		return Padding{}, false
	}
	return *t.cfg.Padding, true
}

// Pad pads the encodings of a batch, which must not be padded yet, as p says
// and sets their masks.
func (p Padding) Pad(batch []Encoding) {
	length := int(p.Strategy)
	if length == 0 {
		for _, e := range batch {
			length = max(length, len(e.IDs))
		}
	}
	if m := p.MultipleOf; m > 0 {
		length = (length + m - 1) / m * m
	}
	for i := range batch {
		e := &batch[i]
		n := max(length-len(e.IDs), 0)
		fill := func(list []int32, with int32) []int32 {
			if p.Direction == "Left" {
				return slices.Concat(slices.Repeat([]int32{with}, n), list)
			}
			return slices.Concat(list, slices.Repeat([]int32{with}, n))
		}
		e.Mask = fill(slices.Repeat([]int32{1}, len(e.IDs)), 0)
		e.IDs, e.TypeIDs = fill(e.IDs, p.ID), fill(e.TypeIDs, p.TypeID)
	}
}
