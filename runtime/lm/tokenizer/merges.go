package tokenizer

import (
	"encoding/json"
	"fmt"
	"strings"
)

// mergeList reads ["a b", ...] and [["a","b"], ...].
type mergeList [][2]string

func (l *mergeList) UnmarshalJSON(data []byte) error {
	var pairs [][]string
	if json.Unmarshal(data, &pairs) != nil {
		pairs = nil
		var lines []string
		if err := json.Unmarshal(data, &lines); err != nil {
			return fmt.Errorf("merges: %w", err)
		}
		for _, line := range lines {
			if !strings.HasPrefix(line, "#version") {
				pairs = append(pairs, strings.Split(line, " "))
			}
		}
	}
	*l = make(mergeList, len(pairs))
	for i, p := range pairs {
		if len(p) != 2 {
			return fmt.Errorf("merge %d: %d parts, must be 2", i, len(p))
		}
		(*l)[i] = [2]string(p)
	}
	return nil
}

func (t *Tokenizer) setMerges(pairs mergeList) error {
	list := make([]merge, len(pairs))
	for i, p := range pairs {
		right := strings.TrimPrefix(p[1], t.cfg.SubwordPre)
		m := merge{t.vocab.id(p[0]), t.vocab.id(p[1]), int32(i), t.vocab.id(p[0] + right)}
		if m.left < 0 || m.right < 0 || m.result < 0 {
			return bad("merge %d, %q and %q: a part or the result is not in the vocabulary", i, p[0], p[1])
		}
		if p[0] == "" || p[1] == "" {
			return bad("merge %d has an empty part", i)
		}
		list[i] = m
	}
	t.merges = newMergeTable(len(t.vocab.tokens), list)
	return nil
}
