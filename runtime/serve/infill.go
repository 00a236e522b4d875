package serve

import "strings"

// fim is how a family of models is told to write what stands between two texts. A further one is a line in fims.
type fim struct {
	prefix, suffix, middle string // tokens before the text in front, the text behind, and the answer
	behind                 bool   // the text behind comes first
}

var fims = []fim{
	{prefix: "<|fim_prefix|>", suffix: "<|fim_suffix|>", middle: "<|fim_middle|>"}, // Qwen2.5-Coder, CodeGemma
	{prefix: "<fim_prefix>", suffix: "<fim_suffix>", middle: "<fim_middle>"},       // StarCoder, Granite
	{prefix: "<fim-prefix>", suffix: "<fim-suffix>", middle: "<fim-middle>"},       // SantaCoder
	{prefix: "<｜fim▁begin｜>", suffix: "<｜fim▁hole｜>", middle: "<｜fim▁end｜>"},       // DeepSeek
	{prefix: "▁<PRE>", suffix: "▁<SUF>", middle: "▁<MID>"},                         // CodeLlama
	{prefix: "<|code_prefix|>", suffix: "<|code_suffix|>", middle: "<|code_middle|>"},
	{prefix: "[PREFIX]", suffix: "[SUFFIX]", behind: true}, // Codestral
}

// fimEnds end an answer besides the tokens that end texts: another file would begin.
var fimEnds = strings.Fields("<|fim_pad|> <fim_pad> <fim-pad> ▁<EOT> <EOT> <|file_sep|> <file_sep> <|file_separator|> <|endoftext|> <|repo_name|>")

// fim is that of the model's family, nil if its vocabulary has none.
func (m *model) fim() *fim {
	if m.lm == nil || m.tok == nil {
		return nil
	}
	for i := range fims {
		all := true
		for _, word := range []string{fims[i].prefix, fims[i].suffix, fims[i].middle} {
			if word != "" {
				_, there := m.tok.ID(word)
				all = all && there
			}
		}
		if all {
			return &fims[i]
		}
	}
	return nil
}

// infill is the text that asks for what stands between two, and the tokens that end it besides.
func (m *model) infill(before, after string) (text string, ends []int32, err error) {
	f := m.fim()
	if f == nil {
		return "", nil, refuse("suffix", "suffix is not supported: the model's vocabulary has no tokens for it")
	}
	for _, word := range fimEnds {
		if id, ok := m.tok.ID(word); ok {
			ends = append(ends, id)
		}
	}
	if f.behind {
		return f.suffix + after + f.prefix + before, ends, nil
	}
	return f.prefix + before + f.suffix + after + f.middle, ends, nil
}
