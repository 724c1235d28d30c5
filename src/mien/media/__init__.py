"""Pictures, recordings and cameras in; drawings, annotated copies and figures out.

Here: decoding, what a network's input is made of, what is drawn over a frame, the look of figures.
Not here: what is in a picture; nothing in this wing has heard of a face detector.
"""
