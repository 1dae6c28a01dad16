package fileid

// Of returns None: no file is managed here.
func Of(string) ID { return None }

// OfFD returns None.
func OfFD(uintptr) ID { return None }
