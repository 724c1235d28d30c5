export function ModelsView() { return <></>; }
