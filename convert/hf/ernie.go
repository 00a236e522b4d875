package hf

import "qpt/format/graph"

// ernie: ErnieModel. BERT, with an embedding of tasks if told, of which the library takes the first row where no task is given.
func ernie(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	kinds := c.int("type_vocab_size", 2, 1, maxVocab)
	tasked, tasks := c.bool("use_task_id", false), c.int("task_type_vocab_size", 3, 1, maxVocab)
	return s.bertModel(c, "ernie", kinds, func(e *encoder) {
		if tasked {
			e.always = append(e.always, firstRow("ernie.embeddings.task_type_embeddings", "", tasks, s.hidden))
		}
	})
}

// layoutLM: LayoutLMModel on text alone: BERT with embeddings of the places of words on a page, which are zeros where none are given.
func layoutLM(c *config) *Model {
	s := c.shape(bertDefaults(512, 1e-12))
	kinds, places := c.int("type_vocab_size", 2, 1, maxVocab), c.int("max_2d_position_embeddings", 1024, 1, maxVocab)
	c.note("words have no places on a page here: the boxes are zeros, as in the library where none are given")
	return s.bertModel(c, "layoutlm", kinds, func(e *encoder) {
		for _, of := range []string{"x left", "y upper", "x right", "y lower", "h", "w"} {
			e.always = append(e.always, firstRow("layoutlm.embeddings."+of[:1]+"_position_embeddings", of[1:], places, s.hidden))
		}
	})
}

// firstRow is the first row of a table, for one of its uses.
func firstRow(table, use string, rows, width int) linear {
	if use != "" {
		use = "." + use[1:]
	}
	return linear{name: table + use, weight: table + ".first", view: &graph.View{Of: table + ".weight", Shape: []int{rows, width}}}
}
