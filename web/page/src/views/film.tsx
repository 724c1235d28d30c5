export function FilmView() { return <></>; }
