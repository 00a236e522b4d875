package hf

import (
	"fmt"
	"slices"
	"strings"
)

// Keys of generation_config.json. The ids that begin and end a text override
// those of config.json. Keys that choose among likely tokens or bound a text are
// defaults of transformers' generate(), whose place flags and options take here:
// without an effect on the file, but worth a note. What would bar or force
// tokens is refused; all else, unknown keys included, transformers itself does
// not look at while a language model writes.
var (
	sampling = strings.Fields(`do_sample temperature top_k top_p min_p typical_p epsilon_cutoff eta_cutoff top_h repetition_penalty
		no_repeat_ngram_size num_beams penalty_alpha max_new_tokens stop_strings`)
	plainValues = map[string]string{"do_sample": "false", "temperature": "1.0", "top_p": "1.0", "repetition_penalty": "1.0", "typical_p": "1.0",
		"num_beams": "1", "no_repeat_ngram_size": "0", "epsilon_cutoff": "0.0", "eta_cutoff": "0.0", "top_k": "50", "stop_strings": "[]"}
	forcing = strings.Fields(`suppress_tokens begin_suppress_tokens bad_words_ids force_words_ids forced_bos_token_id forced_eos_token_id
		forced_decoder_ids sequence_bias constraints exponential_decay_length_penalty watermarking_config guidance_scale`)
)

// generation reads generation_config.json.
func (m *Model) generation(g *config) {
	m.BOS, m.EOS = g.tokens(m.Vocab, m.BOS, m.EOS)
	for _, key := range forcing {
		if raw := string(g.keys[key]); g.has(key) && !slices.Contains([]string{"[]", "{}", "false", "0", "1", "1.0"}, raw) {
			g.unsupported(key, "%.60s; tokens that are barred or forced are not supported", raw)
		}
	}
	var said []string
	for _, key := range sampling {
		if raw := string(g.keys[key]); g.has(key) && raw != plainValues[key] && raw+".0" != plainValues[key] {
			said = append(said, fmt.Sprintf("%s %.60s", key, raw))
		}
	}
	if said != nil {
		g.note("suggests %s: not kept in the file, give flags when running it", strings.Join(said, ", "))
	}
}
